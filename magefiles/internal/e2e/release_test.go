package e2e

import (
	"testing"

	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// leaveRelease gives the release the status in which an interrupted Helm leaves it.
func (w *world) leaveRelease(t *testing.T, status string) {
	t.Helper()
	_, typed := w.clients(t)
	releases := storage.Init(driver.NewSecrets(typed.CoreV1().Secrets("traefik")))
	last, err := releases.Last("traefik")
	if err != nil {
		t.Fatal(err)
	}
	last.SetStatus(release.Status(status), "left by a test")
	if err := releases.Update(last); err != nil {
		t.Fatal(err)
	}
}
