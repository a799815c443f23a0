package stack

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
)

// inputs are the files that a run depends on.
type inputs struct {
	kind     *v1alpha4.Cluster
	replaced []v1alpha4.PortMapping // of the file for kind, in whose place are those of the settings
	objects  []kube.Object          // of the manifests, in their order
	apps     []kube.Object          // those that are not the Gateway API's
	routes   []kube.Object          // those that are
	values   map[string]any
	gateways []gatewayv1.Gateway
	served   []gateway.Route
	classes  []string // the GatewayClasses that the Gateways name
	leftOut  []string // the files of manifests that are for other clusters
}

func readInputs(config Config) (inputs, error) {
	var in inputs
	var problems []error
	data, err := readFile(clusterFile)
	if err != nil {
		return in, fmt.Errorf("%w\nkindgate runs in its own folder, where %s and %s/ are.", err, clusterFile, manifestsDir)
	}
	if data, err = kube.OneDocument(data, clusterFile); err == nil {
		in.kind, err = cluster.ParseConfig(data, clusterFile, config.HTTPPort, config.HTTPSPort)
		in.replaced = cluster.Replaced(data, config.HTTPPort, config.HTTPSPort)
	}
	problems = append(problems, err)
	objects, err := kube.ReadDir(folderOf(manifestsDir), manifestsDir, in.skip(config))
	problems = append(problems, err)
	in.objects = objects
	for _, object := range objects {
		if object.GroupVersionKind().Group == crds.Group {
			if object.GetNamespace() == "" && !kube.ClusterScoped(object.GroupVersionKind().GroupKind()) {
				object.SetNamespace("default") // as kubectl would
			}
			in.routes = append(in.routes, object)
		} else {
			in.apps = append(in.apps, object)
		}
	}
	data, err = readFile(config.valuesPath())
	problems = append(problems, err)
	data, err = kube.OneDocument(data, config.valuesPath())
	problems = append(problems, err)
	if err := yaml.Unmarshal(data, &in.values); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", config.valuesPath(), err))
	}
	in.gateways, err = ofKind[gatewayv1.Gateway](in.routes, "Gateway")
	problems = append(problems, err)
	for _, object := range in.routes {
		route, ok, err := gateway.ReadRoute(object.Unstructured)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", object.Name(), err))
		case ok:
			in.served = append(in.served, route)
		}
	}
	for _, gw := range in.gateways {
		in.classes = append(in.classes, string(gw.Spec.GatewayClassName))
	}
	slices.Sort(in.classes)
	in.classes = slices.Compact(in.classes)
	return in, errors.Join(problems...)
}

// skip tells which files of the manifests have no objects for the run's cluster, and remembers those that have some for others.
func (in *inputs) skip(config Config) func(path string) bool {
	return func(path string) bool {
		if path == kindValues || path == contextValues {
			return true
		}
		others := config.forOthers(path)
		if others {
			in.leftOut = append(in.leftOut, manifestsDir+"/"+path)
		}
		return others
	}
}

func ofKind[T any](objects []kube.Object, kind string) ([]T, error) {
	var raw []unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind {
			raw = append(raw, *object.Unstructured)
		}
	}
	return kube.As[T](raw)
}
