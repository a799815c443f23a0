package manifest

import (
	"testing"
	"testing/fstest"

	"kindgate/magefiles/internal/kube"
)

func TestADefinitionThatKindgateInstallsItselfIsNotTheManifests(t *testing.T) {
	objects, err := kube.Decode([]byte(
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {group: g.io, names: {plural: routes}}\n---\n"+
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: b}\nspec: {group: g.io, names: {plural: others}}\n"), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	problems := Owned(objects, fstest.MapFS{"g.io_routes.yaml": {}}, "traefik")
	if len(problems) != 1 || problems[0].String() != "f.yaml:1: CustomResourceDefinition/a: kindgate installs this definition itself, in the release that go.mod pins" {
		t.Error(problems)
	}
}

func TestTheInventoryIsNotTheManifests(t *testing.T) {
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kindgate-inventory, namespace: "
	objects, err := kube.Decode([]byte(configMap+"traefik}\n---\n"+configMap+"demo}\n"), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	problems := Owned(objects, fstest.MapFS{}, "traefik")
	if len(problems) != 1 || problems[0].String() != "f.yaml:1: ConfigMap/traefik/kindgate-inventory: kindgate itself records in it what it has applied: it would forget that" {
		t.Error(problems)
	}
}
