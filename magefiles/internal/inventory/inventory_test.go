package inventory

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/kube"
)

func entry(apiVersion, kind, namespace, name string, before bool) Entry {
	return Entry{schema.FromAPIVersionAndKind(apiVersion, kind), namespace, name, before}
}

var (
	namespace = entry("v1", "Namespace", "", "shop", false)
	service   = entry("v1", "Service", "shop", "web", false)
	theirs    = entry("rbac.authorization.k8s.io/v1", "ClusterRole", "", "system:x", true)
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	list := List{namespace, service, theirs}
	want := "created v1 Namespace - shop\ncreated v1 Service shop web\nbefore rbac.authorization.k8s.io/v1 ClusterRole - system:x\n"
	if text := list.Text(); text != want {
		t.Errorf("got\n%s", text)
	}
	if read, err := Read(want); err != nil || !reflect.DeepEqual(read, list) {
		t.Error(read, err)
	}
	if read, err := Read(""); err != nil || len(read) != 0 {
		t.Error(read, err)
	}
}

func TestALineThatIsNotKindgatesIsNamed(t *testing.T) {
	for _, line := range []string{"created v1 Service web", "mine v1 Service shop web", "created v1 Service shop web x"} {
		if _, err := Read("created v1 Namespace - shop\n" + line + "\n"); err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAnObjectThatWasThereBeforeStaysSoUntilItIsCreated(t *testing.T) {
	list := List{service}.With(theirs)
	if list = list.With(theirs); !reflect.DeepEqual(list, List{service, theirs}) {
		t.Error(list)
	}
	if list := list.With(entry("v1", "Service", "shop", "web", true)); !reflect.DeepEqual(list, List{entry("v1", "Service", "shop", "web", true), theirs}) {
		t.Error("an object that was deleted since, and that somebody has made anew, is no longer kindgate's", list)
	}
	created := theirs
	created.Before = false
	if list = list.With(created); !reflect.DeepEqual(list, List{service, created}) {
		t.Error("an object that was deleted since and is created now is kindgate's", list)
	}
}

func TestALineOfAnyLengthIsReadOrNamed(t *testing.T) {
	long := "created v1 ConfigMap shop " + strings.Repeat("x", 1<<17)
	if read, err := Read(long + "\n" + List{service}.Text()); err != nil || len(read) != 2 {
		t.Error(len(read), err)
	}
}

func TestAnObjectWithoutANamespaceIsTheOneInDefault(t *testing.T) {
	named, unnamed := entry("v1", "Service", "default", "web", false), entry("v1", "Service", "", "web", false)
	if EntryOf(unnamed.Object()) != named || EntryOf(named.Object()) != named || EntryOf(namespace.Object()) != namespace {
		t.Error(EntryOf(unnamed.Object()))
	}
}

func TestWhatTheManifestsHaveIsTakenOutWhicheverVersionTheyNameItBy(t *testing.T) {
	service := service.Object()
	service.SetAPIVersion("v2")
	ns := namespace.Object()
	ns.SetNamespace("ignored") // the API server drops it
	objects := []kube.Object{service, ns}
	list := List{namespace, entry("v1", "Service", "shop", "web", false), theirs}
	if left := list.Without(objects); !reflect.DeepEqual(left, List{theirs}) {
		t.Error(left)
	}
	if created := list.Created(); len(created) != 2 {
		t.Error(created)
	}
}
