package gotype

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnObjectIsTheSameAsAGoTypeAndBack(t *testing.T) {
	content := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "a", "creationTimestamp": "2026-01-02T03:04:05Z"},
		"spec": map[string]any{"priority": int64(1 << 60), "containers": []any{map[string]any{
			"name": "c", "resources": map[string]any{"limits": map[string]any{"cpu": "1500m"}}}}},
	}
	var pod corev1.Pod
	if err := Decode(content, &pod); err == nil {
		t.Error("a priority of 64 bits was taken")
	}
	content["spec"].(map[string]any)["priority"] = int64(7)
	if err := Decode(content, &pod); err != nil {
		t.Fatal(err)
	}
	if limit := pod.Spec.Containers[0].Resources.Limits["cpu"]; pod.Name != "a" || *pod.Spec.Priority != 7 || !limit.Equal(resource.MustParse("1.5")) ||
		!pod.CreationTimestamp.Equal(&metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}) {
		t.Errorf("%+v", pod)
	}
	back, err := Encode(&pod)
	if err != nil {
		t.Fatal(err)
	}
	delete(back, "status")
	if !reflect.DeepEqual(back, content) {
		t.Errorf("%v", back)
	}
}

func TestAFieldsNameIsAsItsTypeHasIt(t *testing.T) {
	var pod corev1.Pod
	if err := Decode(map[string]any{"Spec": map[string]any{"nodeName": "n"}, "metadata": map[string]any{"Name": "a", "other": "b"}}, &pod); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.NodeName != "" || pod.Name != "" {
		t.Errorf("%+v", pod)
	}
}

func TestWhatIsOfAnotherTypeIsAnError(t *testing.T) {
	for _, content := range []any{map[string]any{"metadata": "a"}, map[string]any{"spec": map[string]any{"containers": map[string]any{}}}, func() {}} {
		if err := Decode(content, &corev1.Pod{}); err == nil {
			t.Errorf("%v was taken", content)
		}
	}
}
