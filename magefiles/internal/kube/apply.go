package kube

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/result"
)

// manifestAnnotation holds the hash of the manifest that an object was last applied from. With it, a manifest that has changed
// (updated) is told from an object that somebody else has changed (repaired), and one that has not from the object alone.
const manifestAnnotation = "kindgate/manifest-sha256"

// parallel is how many requests are under way at once: enough to keep the API server busy, too few to make it refuse any.
const parallel = 16

var secretKind = corev1.SchemeGroupVersion.WithKind("Secret").GroupKind()

// A Change is what applying one object came to.
type Change struct {
	Object Object
	Result result.Result
	// Err is why the object was not applied, with its name; nil for one that was.
	Err error
	// Before are the field managers of an object that was there before kindgate applied it for the first time.
	Before []string
	// Altered says which field the cluster has otherwise than the manifest that was applied just now, as an admission webhook or policy has
	// altered it; empty where there is none.
	Altered string
	// OnDelete: the object's pods are as it was before, and stay so until somebody deletes them: its update strategy is OnDelete.
	OnDelete bool
	// Fields are what a dry run would change in an object that is there, and Unsure is why it could not ask the API server about one that would be
	// created.
	Fields []FieldChange
	Unsure string
}

// Apply makes the live objects what objects ask for, by server-side apply, definitions first and workloads last, and returns what
// changed, in the order of objects. An object that is as it should be is only read. Fields that the manifests do not mention are left
// to whoever owns them. An object that was there before is not overwritten: it is a ConflictError where others have set a field to another
// value, unless the client may take over. A failed object does not keep the others back; the error joins all failures, each with the
// object's name.
func (c *Client) Apply(ctx context.Context, objects []Object) ([]Change, error) {
	live, err := c.Live(ctx, objects)
	if err != nil {
		return nil, err
	}
	return c.ApplyTo(ctx, objects, live)
}

// ApplyTo is Apply for a caller who has just read the live objects with Live.
func (c *Client) ApplyTo(ctx context.Context, objects []Object, live []*unstructured.Unstructured) ([]Change, error) {
	changes := make([]Change, len(objects))
	for i, object := range objects {
		changes[i].Object = object // also of those whose turn does not come
	}
	if err := record(ctx, c, objects, live); err != nil {
		return changes, err
	}
	for tier := Definitions; tier <= Workloads; tier++ {
		each(objects, func(i int, object Object) {
			if object.Tier() == tier {
				changes[i] = application{c, object, live[i]}.run(ctx)
			}
		})
		if tier == Definitions && !c.Options.DryRun && slices.ContainsFunc(changes, func(c Change) bool { return c.Result == result.Created }) {
			// What a namespace had went with it, perhaps after the first look.
			again, err := c.Live(ctx, objects)
			if err != nil {
				for i, object := range objects {
					if object.Tier() > tier {
						changes[i].Err = object.Failed(err)
					}
				}
				break
			}
			live = again
		}
	}
	return changes, Errors(changes)
}

// Errors joins those of changes.
func Errors(changes []Change) error {
	errs := make([]error, len(changes))
	for i := range changes {
		errs[i] = changes[i].Err
	}
	return errors.Join(errs...)
}

// The tiers in which objects are applied, one after another.
const (
	// Definitions are of namespaces and kinds.
	Definitions = iota
	// Accounts are ServiceAccounts: a Secret with the token of one that is not there is deleted at once.
	Accounts
	// Needs are what else workloads need.
	Needs
	// Workloads run pods.
	Workloads
)

// Tier returns the one in which the object is applied.
func (o Object) Tier() int {
	switch o.GetKind() {
	case "Namespace", "CustomResourceDefinition":
		return Definitions
	case "ServiceAccount":
		return Accounts
	case "Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod", "ReplicaSet", "ReplicationController":
		return Workloads
	}
	return Needs
}

// An application is that of one object, nil where it is not there yet.
type application struct {
	*Client
	object Object
	live   *unstructured.Unstructured
}

func (a application) run(ctx context.Context) Change {
	change := Change{Object: a.object}
	err := checkOwners(ctx, a.Client, a.object)
	if err == nil && a.Options.DryRun {
		err = a.try(ctx, &change)
	} else if err == nil {
		err = a.apply(ctx, &change)
	}
	if err != nil {
		return Change{Object: a.object, Err: a.object.Failed(replacing(a.object, err, a.Options.Kubectl))}
	}
	change.Before = before(a.live, change.Result)
	change.OnDelete = a.live != nil && change.Result != result.Unchanged && UpdatesOnDelete(a.object.Unstructured)
	return change
}

func (a application) apply(ctx context.Context, change *Change) error {
	client, err := a.Resource(ctx, a.object.GroupVersionKind(), a.object.GetNamespace())
	if err != nil {
		return err
	}
	if a.live != nil && a.live.GetDeletionTimestamp() != nil {
		if err := waitGone(ctx, client, a.live); err != nil {
			return err
		}
		a.live = nil
	}
	want, hash, err := wanted(a.object, a.live)
	if err != nil {
		return err
	}
	if isAsWanted(a.live, want, hash) {
		change.Result = result.Unchanged
		return nil
	}
	applied, err := a.patch(ctx, client, want)
	if err != nil {
		return err
	}
	same := a.live != nil && applied.GetResourceVersion() == a.live.GetResourceVersion()
	change.Result, change.Altered = a.result(hash, same), altered(normalized(want), applied.Object, "")
	if field, _, found := strings.Cut(change.Altered, " is "); found && a.object.groupKind() == secretKind {
		change.Altered = field + " has another value" // which is nobody's to read in a log
	}
	return nil
}

// result is what applying came to: hash is that of the manifest, and same tells that nothing has changed.
func (a application) result(hash string, same bool) result.Result {
	switch {
	case a.live == nil:
		return result.Created
	case same:
		return result.Unchanged
	case a.live.GetAnnotations()[manifestAnnotation] == hash:
		return result.Repaired
	}
	return result.Updated
}

// patch sends what wanted returned for an object, and returns it as the cluster has it then, or would have it after a dry run. Fields that others
// have set to another value are a ConflictError where the object was there before kindgate applied it, unless the client may take over.
func (a application) patch(ctx context.Context, client dynamic.ResourceInterface, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	data, err := want.MarshalJSON()
	if err != nil {
		return nil, err
	}
	force := a.Options.TakeOver || a.live != nil && IsOurs(a.live) // one that somebody has made since the look is not ours either
	options := metav1.PatchOptions{FieldManager: Manager, Force: &force, FieldValidation: metav1.FieldValidationStrict}
	if a.Options.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	applied, err := client.Patch(ctx, want.GetName(), types.ApplyPatchType, data, options)
	if !force && apierrors.IsConflict(err) {
		return nil, conflict(err)
	}
	return applied, err
}

// record tells Record which of objects have not been applied before.
func record(ctx context.Context, c *Client, objects []Object, live []*unstructured.Unstructured) error {
	if c.Options.Record == nil || c.Options.DryRun {
		return nil
	}
	var first []First
	for i, object := range objects {
		if live[i] == nil || !IsOurs(live[i]) {
			first = append(first, First{object, live[i] != nil})
		}
	}
	if len(first) == 0 {
		return nil
	}
	return c.Options.Record(ctx, first)
}

// isAsWanted tells whether applying what wanted returned would change nothing: the object was applied from this manifest, we own the
// manifest's fields and no others, and they have its values. A value can differ although we own the field: somebody wrote it under our
// name. Where this says false for a value that the server only writes differently, applying changes nothing.
func isAsWanted(live, want *unstructured.Unstructured, hash string) bool {
	if live == nil || live.GetAnnotations()[manifestAnnotation] != hash {
		return false
	}
	owned := ownedFields(live, Manager, metav1.ManagedFieldsOperationApply)
	return covers(want.Object, owned) && !exceeds(owned, want.Object) && within(normalized(want), live.Object)
}

// AsWritten tells whether an object in the cluster has all that its manifest has now, whoever has applied it.
func AsWritten(object Object, live *unstructured.Unstructured) (bool, error) {
	want, _, err := wanted(object, live)
	if err != nil {
		return false, err
	}
	unstructured.RemoveNestedField(want.Object, "metadata", "annotations", manifestAnnotation)
	return within(normalized(want), live.Object), nil
}

// wanted returns what is sent to the server for an object, and the hash of its manifest. What only a server writes is left out,
// as are the replicas of a workload that an autoscaler has taken over.
func wanted(object Object, live *unstructured.Unstructured) (*unstructured.Unstructured, string, error) {
	want := object.DeepCopy()
	for _, field := range []string{"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"} {
		unstructured.RemoveNestedField(want.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(want.Object, "status")
	if object.groupKind() == secretKind {
		encodeStringData(want.Object)
	}
	content, err := want.MarshalJSON()
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[manifestAnnotation] = hash
	want.SetAnnotations(annotations)
	if live != nil && autoscaled(live) {
		unstructured.RemoveNestedField(want.Object, "spec", "replicas")
	}
	return want, hash, nil
}

// encodeStringData turns a Secret's stringData into data, as the server does, so that we own the keys that the server keeps.
func encodeStringData(secret map[string]any) {
	plain, _, err := unstructured.NestedStringMap(secret, "stringData")
	data, isMap := secret["data"].(map[string]any)
	if err != nil || plain == nil || !isMap && secret["data"] != nil {
		return // none, or one that the server refuses
	}
	if data == nil {
		data = map[string]any{}
	}
	for key, value := range plain {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	secret["data"] = data
	delete(secret, "stringData")
}

// normalized returns an object's content as the server writes it, for kinds that are known: 1000m becomes 1, 60s becomes 1m0s. It has no field that
// the object has not: a Go type adds the zeros of those that it always writes, and the server has defaults for some of these.
func normalized(u *unstructured.Unstructured) map[string]any {
	typed, err := known.New(u.GroupVersionKind())
	if err != nil {
		return u.Object
	}
	if err := gotype.Decode(u.Object, typed); err != nil {
		return u.Object
	}
	content, err := gotype.Encode(typed)
	if err != nil {
		return u.Object
	}
	delete(content, "status")
	retain(content, u.Object)
	return content
}

// retain takes out of content, at every depth, the fields that given does not have.
func retain(content, given any) {
	switch content := content.(type) {
	case map[string]any:
		have, _ := given.(map[string]any)
		for key, value := range content {
			if _, ok := have[key]; ok {
				retain(value, have[key])
			} else {
				delete(content, key)
			}
		}
	case []any:
		have, _ := given.([]any)
		for i := 0; i < len(content) && len(have) == len(content); i++ {
			retain(content[i], have[i])
		}
	}
}

// autoscaled tells whether a controller in the cluster (not a person with kubectl scale) sets the replicas.
func autoscaled(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource == "scale" && entry.Manager == "kube-controller-manager"
	})
}

// Live returns the objects as they are in the cluster, in the order of objects, nil for one that is not there, nor perhaps its kind.
// Objects of one kind and namespace come in one request where there are several of them.
func (c *Client) Live(ctx context.Context, objects []Object) ([]*unstructured.Unstructured, error) {
	type group struct {
		kind      schema.GroupVersionKind
		namespace string
	}
	members := map[group][]int{}
	for i, o := range objects {
		g := group{o.GroupVersionKind(), o.GetNamespace()}
		members[g] = append(members[g], i)
	}
	live := make([]*unstructured.Unstructured, len(objects))
	requests, ctx := errgroup.WithContext(ctx)
	requests.SetLimit(parallel)
	for g, indices := range members {
		requests.Go(func() error {
			if len(indices) <= 3 || g.kind.Kind == "CustomResourceDefinition" {
				for _, i := range indices {
					found, err := c.Get(ctx, g.kind, g.namespace, objects[i].GetName())
					if err != nil {
						return fmt.Errorf("%s: %w", objects[i].Name(), err)
					}
					live[i] = found
				}
				return nil
			}
			client, err := c.Resource(ctx, g.kind, g.namespace)
			if errors.As(err, &unknownKind{}) {
				return nil
			}
			if err != nil {
				return err
			}
			list, err := client.List(ctx, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("%s in namespace %s: %w", g.kind.Kind, g.namespace, err)
			}
			byName := map[string]*unstructured.Unstructured{}
			for i := range list.Items {
				byName[list.Items[i].GetName()] = &list.Items[i]
			}
			for _, i := range indices {
				live[i] = byName[objects[i].GetName()]
			}
			return nil
		})
	}
	return live, requests.Wait()
}

// Delete removes objects; one that is not there is as good as removed.
func (c *Client) Delete(ctx context.Context, objects []Object) error {
	for _, object := range objects {
		client, err := c.Resource(ctx, object.GroupVersionKind(), object.GetNamespace())
		if err != nil {
			return err
		}
		background := metav1.DeletePropagationBackground
		err = client.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", object.Name(), err)
		}
	}
	return nil
}

// Restore gives an object that is in the cluster the fields that it has here, as the given field manager. What it has besides stays, and one
// that is not there is passed over. It is a FixedError where a field cannot be changed.
func (c *Client) Restore(ctx context.Context, object Object, manager string) error {
	client, err := c.Resource(ctx, object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return object.Failed(err)
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return object.Failed(err)
	}
	_, err = client.Patch(ctx, object.GetName(), types.MergePatchType, data, metav1.PatchOptions{FieldManager: manager})
	if err != nil && !apierrors.IsNotFound(err) {
		return object.Failed(replacing(object, err, c.Options.Kubectl))
	}
	return nil
}

// Get returns one object, or nil when it, or its kind, is not there.
func (c *Client) Get(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	client, err := c.Resource(ctx, kind, namespace)
	if errors.As(err, &unknownKind{}) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// List returns the objects of a kind in a namespace, or in all of them for an empty one.
func (c *Client) List(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]unstructured.Unstructured, error) {
	client, err := c.everywhere(ctx, kind, namespace)
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// ListJSON returns the list that List decodes, as the API server writes it: of Kubernetes' own kinds, the items do not say which they are of.
func (c *Client) ListJSON(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]byte, error) {
	mapping, err := c.mapping(ctx, kind)
	if err != nil {
		return nil, err
	}
	api := "/apis"
	if kind.Group == "" {
		api = "/api"
	}
	request := c.core.RESTClient().Get().AbsPath(api, kind.GroupVersion().String())
	if namespace != "" {
		request = request.AbsPath(api, kind.GroupVersion().String(), "namespaces", namespace)
	}
	return request.Suffix(mapping.Resource.Resource).DoRaw(ctx)
}

// Drifted returns those of objects, which a client other than us wrote as the given field manager, that are missing from the cluster or
// differ from what is in it. An object that seems to is compared once more, with what the server says it would be if it were applied:
// nothing is written, and what a server only writes differently is no difference.
func (c *Client) Drifted(ctx context.Context, objects []Object, manager string) ([]Object, error) {
	live, err := c.Live(ctx, objects)
	if err != nil {
		return nil, err
	}
	differs := make([]bool, len(objects))
	each(objects, func(i int, object Object) {
		differs[i] = live[i] == nil || c.differs(ctx, object, live[i], manager)
	})
	var drifted []Object
	for i, object := range objects {
		if differs[i] {
			drifted = append(drifted, object)
		}
	}
	return drifted, nil
}

func (c *Client) differs(ctx context.Context, object Object, live *unstructured.Unstructured, manager string) bool {
	want, _, err := wanted(object, live)
	if err != nil {
		return true
	}
	unstructured.RemoveNestedField(want.Object, "metadata", "annotations", manifestAnnotation)
	same := within(normalized(want), live.Object)
	if same && covers(want.Object, ownedFields(live, manager, metav1.ManagedFieldsOperationUpdate)) {
		return false
	}
	client, err := c.Resource(ctx, object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return !same
	}
	applied, err := client.Apply(ctx, want.GetName(), want, metav1.ApplyOptions{FieldManager: Manager, Force: true, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return !same
	}
	return !apiequality.Semantic.DeepEqual(content(applied), content(live))
}

// content returns an object without what says only who wrote it, and when.
func content(u *unstructured.Unstructured) map[string]any {
	u = u.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "generation"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	return u.Object
}

// within tells whether live has every field of want, with its value; lists must be of one length. A zero that a server leaves out is
// the same as none.
func within(want, live any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := live.(map[string]any)
		for key, value := range want {
			if value != nil && (!ok || !within(value, have[key])) && !(have[key] == nil && zero(value)) {
				return false
			}
		}
		return true
	case []any:
		have, _ := live.([]any)
		if len(have) != len(want) {
			return false
		}
		for i := range want {
			if !within(want[i], have[i]) {
				return false
			}
		}
		return true
	}
	return fmt.Sprint(want) == fmt.Sprint(live)
}

// altered says which field is set in want, and in live to something else; it is empty where there is none. A field or a list's item that is
// missing does not count, nor does a list of another length: servers complete what they are given.
func altered(want, live any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		have, _ := live.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if found := altered(want[key], have[key], strings.TrimPrefix(path+"."+key, ".")); found != "" {
				return found
			}
		}
	case []any:
		have, _ := live.([]any)
		for i := 0; i < len(want) && len(have) == len(want); i++ {
			if found := altered(want[i], have[i], fmt.Sprintf("%s[%d]", path, i)); found != "" {
				return found
			}
		}
	default:
		if want != nil && live != nil && fmt.Sprint(want) != fmt.Sprint(live) {
			return fmt.Sprintf("%s is %s, not %s", path, shortened(fmt.Sprint(live)), shortened(fmt.Sprint(want)))
		}
	}
	return ""
}

func zero(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value == "" || value == false || fmt.Sprint(value) == "0"
}

// each calls f for every object, some at once, and returns when all calls have.
func each(objects []Object, f func(int, Object)) {
	var calls errgroup.Group
	calls.SetLimit(parallel)
	for i, object := range objects {
		calls.Go(func() error { f(i, object); return nil })
	}
	_ = calls.Wait()
}
