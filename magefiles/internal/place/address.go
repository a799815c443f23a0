package place

import (
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/readiness"
)

// GatewayName is the label that a controller puts on what it makes for a Gateway. See https://gateway-api.sigs.k8s.io/geps/gep-1762/.
const GatewayName = "gateway.networking.k8s.io/gateway-name"

// A Target is how a listener's port of a Gateway may be reached.
type Target struct {
	// Port is the one that its URLs have, and Addresses are host:port of what the Gateway's status says, to be dialled.
	Port      int
	Addresses []string
	// Namespace, Pod and PodPort are a ready pod of the data plane, for a port-forward where no address is reached; an empty Pod where none is known.
	Namespace, Pod string
	PodPort        int
	// Service is what the pod was found by: Service/namespace/name; empty where it was found by its labels.
	Service string
}

// Facts are the cluster's objects by which a Target is found.
type Facts struct {
	Services []corev1.Service
	Slices   []discoveryv1.EndpointSlice
	Pods     []corev1.Pod
	// Runs tells whether a pod is one of the data plane, where that is known of the implementation.
	Runs func(*corev1.Pod) bool
}

// Target finds how a listener's port is reached. The Service of the data plane is the one that has an address of the Gateway, or which the
// controller has labelled for it, or which selects the pods that are known to be the data plane's. Its port may be another than the
// listener's, which is that of the pods then; and an address that is a node's, and not the Service's, leads to it by the port that it has on nodes.
func (f Facts) Target(gw *gatewayv1.Gateway, listener int32) Target {
	t := Target{Port: int(listener)}
	onNodes := int32(0)
	for i, is := range []func(*corev1.Service) bool{
		func(s *corev1.Service) bool { return hasAddress(s, gw.Status.Addresses) },
		func(s *corev1.Service) bool { return s.Namespace == gw.Namespace && s.Labels[GatewayName] == gw.Name },
		f.selectsDataPlane,
	} {
		if port, ok := f.through(&t, is, listener); ok {
			if i > 0 {
				onNodes = port.NodePort
			}
			break
		}
	}
	if t.Pod == "" {
		f.labelled(&t, listener)
	}
	for _, address := range gw.Status.Addresses {
		if ip := net.ParseIP(address.Value); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
			continue // each machine has its own: another cluster may answer there
		}
		port := t.Port
		if onNodes != 0 && f.isNode(address.Value) {
			port = int(onNodes)
		}
		t.Addresses = append(t.Addresses, net.JoinHostPort(address.Value, strconv.Itoa(port)))
	}
	return t
}

// isNode tells whether an address is that of a node, as far as the pods say on which they run.
func (f Facts) isNode(address string) bool {
	return slices.ContainsFunc(f.Pods, func(pod corev1.Pod) bool {
		return slices.Contains(pod.Status.HostIPs, corev1.HostIP{IP: address})
	})
}

// through fills in what the first Service has of which is holds and which leads to the listener, and returns the port by which it does; false
// where none does.
func (f Facts) through(t *Target, is func(*corev1.Service) bool, listener int32) (corev1.ServicePort, bool) {
	for i := range f.Services {
		service := &f.Services[i]
		if !is(service) {
			continue
		}
		if port, endpoint, ok := f.leading(service, listener); ok {
			t.Port, t.Service = int(port.Port), "Service/"+service.Namespace+"/"+service.Name
			if endpoint != nil {
				t.Namespace, t.Pod, t.PodPort = endpoint.namespace, endpoint.pod, endpoint.port
			}
			return port, true
		}
	}
	return corev1.ServicePort{}, false
}

type endpoint struct {
	namespace, pod string
	port           int
}

// leading returns the port of a Service that leads to a listener's: the one of the same number, or the one whose pods have that number; and a ready
// endpoint behind it that is a pod, nil where there is none.
func (f Facts) leading(service *corev1.Service, listener int32) (port corev1.ServicePort, at *endpoint, ok bool) {
	same := func(p corev1.ServicePort, _ *endpoint) bool { return p.Port == listener }
	behind := func(p corev1.ServicePort, e *endpoint) bool {
		return e != nil && e.port == int(listener) || e == nil && p.TargetPort.IntVal == listener
	}
	for _, leads := range []func(corev1.ServicePort, *endpoint) bool{same, behind} {
		for _, p := range service.Spec.Ports {
			if e := f.endpoint(service, p.Name); (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) && leads(p, e) {
				return p, e, true
			}
		}
	}
	return port, nil, false
}

// endpoint returns a ready pod behind a port of a Service, nil where there is none.
func (f Facts) endpoint(service *corev1.Service, portName string) *endpoint {
	for _, slice := range f.Slices {
		if slice.Namespace != service.Namespace || slice.Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool { return ptr.Deref(p.Name, "") == portName })
		if i < 0 || slice.Ports[i].Port == nil {
			continue
		}
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, false) && e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
				return &endpoint{slice.Namespace, e.TargetRef.Name, int(*slice.Ports[i].Port)}
			}
		}
	}
	return nil
}

// labelled looks for a ready pod that is known to be the data plane's and has the listener's port.
func (f Facts) labelled(t *Target, listener int32) {
	for i := range f.Pods {
		pod := &f.Pods[i]
		if pod.DeletionTimestamp != nil || !f.Runs(pod) || !readiness.PodReady(pod) {
			continue
		}
		for _, container := range pod.Spec.Containers {
			if slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.ContainerPort == listener }) {
				t.Namespace, t.Pod, t.PodPort = pod.Namespace, pod.Name, int(listener)
				return
			}
		}
	}
}

// selectsDataPlane tells whether pods that are known to be the data plane's are behind a Service.
func (f Facts) selectsDataPlane(service *corev1.Service) bool {
	return len(service.Spec.Selector) > 0 && slices.ContainsFunc(f.Pods, func(pod corev1.Pod) bool {
		for name, value := range service.Spec.Selector {
			if pod.Labels[name] != value {
				return false
			}
		}
		return pod.Namespace == service.Namespace && f.Runs(&pod)
	})
}

// hasAddress tells whether one of a Gateway's addresses is a Service's.
func hasAddress(service *corev1.Service, addresses []gatewayv1.GatewayStatusAddress) bool {
	own := slices.Concat(service.Spec.ClusterIPs, service.Spec.ExternalIPs)
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		own = append(own, ingress.IP, ingress.Hostname)
	}
	name := service.Name + "." + service.Namespace + ".svc"
	own = append(own, name, name+".cluster.local")
	return slices.ContainsFunc(addresses, func(a gatewayv1.GatewayStatusAddress) bool { return a.Value != "" && slices.Contains(own, a.Value) })
}
