// Package bundle makes one archive of what a failure is looked into with, and reads it again. What may be secret is left out, not masked, and the
// archive lists what was. It asks nobody: content goes in.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// LeftOut is the file of an archive that lists what it does not have, and why.
const LeftOut = "LEFT-OUT.txt"

// Log is the file with the log of a pod's container.
func Log(namespace, pod, container string) string {
	return "pods/" + namespace + "/" + pod + "/" + container + ".log"
}

// Routers is the file with the list of routers of a pod of the data plane.
func Routers(namespace, pod string) string { return "pods/" + namespace + "/" + pod + "/routers.json" }

// A Bundle is an archive in the making. New makes one.
type Bundle struct {
	files   map[string][]byte
	left    []string
	secrets map[string][]string // by how they begin
}

// New returns an empty bundle, which takes no text that has one of the given secrets in it, or a long word of one, as it is or encoded. Those of
// less than eight characters are words of many texts, and are passed over.
func New(secrets ...string) *Bundle {
	b := &Bundle{files: map[string][]byte{}, secrets: map[string][]string{}}
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			b.secrets[form[:shortest]] = append(b.secrets[form[:shortest]], form)
		}
	}
	return b
}

// Leave lists something that the bundle does not have, and why.
func (b *Bundle) Leave(what, why string) { b.left = append(b.left, what+": "+why) }

// mostOfFile is how much of the end of a text is taken, and mostOfAll how much of all files.
const mostOfFile, mostOfAll = 4 << 20, 200 << 20

// Text adds a text, such as a log, without the lines that look as if they had a secret. Of a long one the end is taken. What is no text is left out.
func (b *Bundle) Text(name string, content []byte) {
	if len(content) > mostOfFile {
		b.Leave(name, fmt.Sprintf("all but its last %d MiB", mostOfFile>>20))
		content = content[len(content)-mostOfFile:]
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	if !utf8.Valid(content) {
		b.Leave(name, "it is no text")
		return
	}
	var kept bytes.Buffer
	dropped, key := 0, false
	for line := range strings.Lines(string(content)) {
		begins, ends := strings.Contains(line, "-----BEGIN "), strings.Contains(line, "-----END ")
		if key || begins || b.secret(line) {
			dropped++
		} else {
			kept.WriteString(line)
		}
		key = (key || begins) && !ends
	}
	if dropped > 0 {
		b.Leave(name, fmt.Sprintf("%d lines that look as if they had a key, a token, a password or a header that authorizes", dropped))
	}
	b.add(name, kept.Bytes())
}

// JSON adds a value as JSON, without the fields that may have a secret. Its error is that the value cannot be written.
func (b *Bundle) JSON(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	dropped := map[string]int{}
	plain, _ = b.clean(plain, "", dropped)
	for _, path := range slices.Sorted(maps.Keys(dropped)) {
		b.Leave(name, fmt.Sprintf("%s, %d times", path, dropped[path]))
	}
	if data, err = json.MarshalIndent(plain, "", " "); err == nil {
		b.add(name, append(data, '\n'))
	}
	return err
}

func (b *Bundle) add(name string, content []byte) {
	sum := len(content)
	for _, file := range b.files {
		sum += len(file)
	}
	if sum > mostOfAll {
		b.Leave(name, fmt.Sprintf("the bundle has %d MiB already", mostOfAll>>20))
		return
	}
	b.files[name] = content
}

// Archive returns the bundle as a .tar.gz, with the list of what was left out.
func (b *Bundle) Archive(at time.Time) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	files := maps.Clone(b.files)
	files[LeftOut] = []byte("Left out of this bundle, beside the objects Secret and ConfigMap, which are not in it at all:\n" + strings.Join(b.left, "\n") + "\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "kindgate-bundle/" + name, Mode: 0o644, Size: int64(len(files[name])), ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := errors.Join(archive.Close(), compressed.Close())
	return out.Bytes(), err
}

// Read returns the files of an archive that a Bundle has made, by their names. Its error is that it is none, or larger than any is.
func Read(data []byte) (map[string][]byte, error) {
	compressed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("it is no bundle of kindgate's: %w", err)
	}
	archive, files, left := tar.NewReader(compressed), map[string][]byte{}, int64(mostOfAll+mostOfFile)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no bundle of kindgate's: %w", err)
		}
		if left -= header.Size; left < 0 {
			return nil, errors.New("it is no bundle of kindgate's: it is larger than any")
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(header.Name, "kindgate-bundle/")] = content
	}
	if files[LeftOut] == nil {
		return nil, errors.New("it is no bundle of kindgate's: it has no " + LeftOut)
	}
	return files, nil
}
