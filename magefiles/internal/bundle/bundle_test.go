package bundle

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

const (
	password = "correct horse/battery"
	jwt      = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEi.eyJpc3MiOiJrdWJlcm5ldGVz.c2lnbmF0dXJl"
	key      = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIODFGHJKLsecretkeymaterialxx\nAoGCCqGSM49moresecretkeymaterialyy==\n-----END EC PRIVATE KEY-----"
)

// planted are texts that have a secret each, and what of them must be nowhere in the bundle.
var planted = []struct{ text, secret string }{
	{"the database says " + password, password},
	{"in base64 " + base64.StdEncoding.EncodeToString([]byte(password)), base64.StdEncoding.EncodeToString([]byte(password))},
	{`quoted "correct+horse%2Fbattery"`, "correct+horse%2Fbattery"},
	{"GET / Authorization: Bearer opaque-token-1", "opaque-token-1"},
	{`{"Authorization":["Basic dXNlcjpwYXNz"]}`, "dXNlcjpwYXNz"},
	{"Set-Cookie: session=cookiesecret", "cookiesecret"},
	{"token " + jwt, jwt},
	{"kubeadm join --token abcdef.0123456789abcdef", "abcdef.0123456789abcdef"},
	{"kubeadm join 10.0.0.1 with ghijkl.0123456789abcdef", "ghijkl.0123456789abcdef"},
	{"    client-key-data: a3ViZWNvbmZpZ2tleQ==", "a3ViZWNvbmZpZ2tleQ"},
	{"    client-certificate-data: Y2VydGlmaWNhdGU=", "Y2VydGlmaWNhdGU"},
	{"    token: userstoken1", "userstoken1"},
	{"connecting to postgres://app:dbpassword1@db/app", "dbpassword1"},
	{"proxy http://user:proxypass1@proxy:3128", "proxypass1"},
	{"MYSQL_PASSWORD=mysqlpass1", "mysqlpass1"},
	{"AWS_SECRET_ACCESS_KEY=awssecret1", "awssecret1"},
	{"found AKIAIOSFODNN7EXAMPLE in the environment", "AKIAIOSFODNN7EXAMPLE"},
	{"cloned with ghp_abcdefghijklmnopqrstuvwxyz0123", "ghp_abcdefghijklmnopqrstuvwxyz0123"},
	{key, "secretkeymaterial"},
}

// everything is all files of an archive, as it is and as it was compressed.
func everything(t *testing.T, b *Bundle) string {
	t.Helper()
	data, err := b.Archive(time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestNoSecretThatWasPlantedInAnyPlaceIsInTheBundle(t *testing.T) {
	b := New(password, "short")
	var log strings.Builder
	objects := []any{}
	for i, p := range planted {
		fmt.Fprintf(&log, "line %d is harmless\n%s\n", i, p.text)
		objects = append(objects, p.text, map[string]any{"message": p.text, p.text: "key", "nested": []any{map[string]any{"deep": p.text}}})
	}
	b.Text("pod.log", []byte(log.String()))
	for where, object := range map[string]any{
		"strings": objects,
		"pod": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "whoami", "env": []any{map[string]any{"name": "X", "value": "envsecret1"}},
			"args": []string{"--x=argsecret1"}, "command": []string{"cmdsecret1"}, "livenessProbe": map[string]any{"httpGet": map[string]any{"httpHeaders": []any{map[string]any{"name": "X", "value": "probesecret1"}}}}}}},
			"metadata": map[string]any{"annotations": map[string]any{"x": "annotationsecret1"}}},
		"route":  map[string]any{"headers": []any{map[string]any{"name": "Authorization", "type": "Exact", "value": "headersecret1"}, map[string]any{"name": "X-Api-Key", "value": "headersecret2"}, map[string]any{"name": "X-Tenant", "value": "tenant"}}},
		"secret": map[string]any{"kind": "Secret", "data": map[string]any{"k": "datasecret1"}, "stringData": map[string]any{"k": "datasecret2"}},
		"fields": map[string]any{"apiKey": "fieldsecret1", "password": "fieldsecret2", "sessionToken": "fieldsecret3", "Env": []string{"X=inspectsecret1"}},
	} {
		if err := b.JSON(where+".json", object); err != nil {
			t.Fatal(err)
		}
	}
	all := everything(t, b)
	for _, p := range planted {
		if strings.Contains(all, p.secret) {
			t.Errorf("%q is in the bundle, of %q", p.secret, p.text)
		}
	}
	for _, secret := range []string{"envsecret", "argsecret", "cmdsecret", "probesecret", "annotationsecret", "headersecret", "datasecret", "fieldsecret", "inspectsecret"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in the bundle", secret)
		}
	}
	for i := range planted {
		if !strings.Contains(all, fmt.Sprintf("line %d is harmless\n", i)) {
			t.Errorf("line %d is missing", i)
		}
	}
	for _, kept := range []string{"whoami", `"Authorization"`, `"X-Tenant"`, `"tenant"`, "pod.log: 22 lines that look", "pod.json: spec.containers.env, 1 times", "route.json: headers.value, 2 times"} {
		if !strings.Contains(all, kept) {
			t.Errorf("%q is missing in\n%s", kept, all)
		}
	}
}

func TestABundleIsReadAgain(t *testing.T) {
	b := New()
	b.Text("a.log", []byte("one\ntwo\n"))
	b.Text("binary", []byte{0xff, 0xfe})
	b.Text("long.log", append(bytes.Repeat([]byte("x"), 100), []byte("\n"+strings.Repeat("end of a long log\n", mostOfFile/18+1))...))
	b.Leave("nodes", "the engine does not answer")
	if err := b.JSON("x.json", map[string]any{"n": 1 << 60, "s": "text"}); err != nil {
		t.Fatal(err)
	}
	if err := b.JSON("bad.json", func() {}); err == nil {
		t.Error("a function is no JSON")
	}
	data, err := b.Archive(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files, err := Read(data)
	if err != nil || string(files["a.log"]) != "one\ntwo\n" || files["binary"] != nil || len(files["long.log"]) > mostOfFile || !strings.HasPrefix(string(files["long.log"]), "end of a long log\n") {
		t.Errorf("%v, %d files", err, len(files))
	}
	var value struct {
		N int64
		S string
	}
	if err := json.Unmarshal(files["x.json"], &value); err != nil || value.N != 1<<60 || value.S != "text" {
		t.Errorf("%v: %+v", err, value)
	}
	left := string(files[LeftOut])
	for _, want := range []string{"binary: it is no text\n", "nodes: the engine does not answer\n", "long.log: all but its last 4 MiB\n"} {
		if !strings.Contains(left, want) {
			t.Errorf("%q is missing in\n%s", want, left)
		}
	}
}

func TestWhatIsNoBundleIsSaidToBeNone(t *testing.T) {
	var other bytes.Buffer
	zipped := gzip.NewWriter(&other)
	_, _ = zipped.Write([]byte("no archive"))
	_ = zipped.Close()
	var empty bytes.Buffer
	zipped = gzip.NewWriter(&empty)
	_ = zipped.Close()
	for _, data := range [][]byte{nil, []byte("text"), other.Bytes(), empty.Bytes()} {
		if _, err := Read(data); err == nil || !strings.Contains(err.Error(), "it is no bundle of kindgate's") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestASecretIsFoundInBase64WhateverStandsBesideIt(t *testing.T) {
	const secret = "s3cr3t/value~?abcdefgh"
	b := New(secret)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		for _, before := range []string{"", "u", "us", "use", "user:"} {
			for _, after := range []string{"", "x", "xy", "xyz"} {
				if text := encoding.EncodeToString([]byte(before + secret + after)); !b.secret("got " + text) {
					t.Errorf("%q, %q: %s", before, after, text)
				}
			}
		}
	}
	if b.secret("got " + base64.StdEncoding.EncodeToString([]byte("another text that is as long"))) {
		t.Error("another text is taken for it")
	}
}
