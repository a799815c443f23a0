package hosts

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheBlockStaysWhereTheUserHasMovedIt(t *testing.T) {
	const other = "# BEGIN kindgate other\n127.0.0.1 c.localhost\n# END kindgate other\n"
	text := []byte("first\n" + block + "between\n" + other + "last")
	for _, names := range [][]string{{"x.localhost"}, {"y.localhost", "z.localhost"}} {
		after, err := Edit(text, "k", names)
		if err != nil || !slices.Equal(Block(after, "k"), names) || !slices.Equal(Block(after, "other"), []string{"c.localhost"}) {
			t.Fatalf("%v: %q", err, after)
		}
		if !bytes.HasPrefix(after, []byte("first\n"+begin("k")+"\n")) || !bytes.HasSuffix(after, []byte(end("k")+"\nbetween\n"+other+"last")) {
			t.Errorf("%q", after)
		}
		text = after
	}
}

func TestBlockReadsWhatAUserHasWrittenIntoIt(t *testing.T) {
	text := "127.0.0.1 outside\n" + begin("k") + "\r\n# a comment\r\n\r\n127.0.0.1\ta  b\r\n::1 c\r\n127.0.0.1\r\n" + end("k") + "\r\n127.0.0.1 outside\r\n"
	if got := Block([]byte(text), "k"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
}

func TestAFileThatIsNotThereHasNoNamesAndIsMadeOnlyForSome(t *testing.T) {
	file := File{filepath.Join(t.TempDir(), "hosts"), "k"}
	if names, err := file.Names(); names != nil || err != nil {
		t.Error(names, err)
	}
	if changed, err := file.Set(nil); changed || err != nil {
		t.Error(changed, err)
	}
	if _, err := os.Stat(file.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it was made for no names", err)
	}
	if changed, err := file.Set([]string{"a.localhost", "b.localhost"}); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if text, _ := os.ReadFile(file.Path); string(text) != block {
		t.Errorf("%q", text)
	}
}

func TestAFileWithABrokenFenceIsNamedAndLeftAsItIs(t *testing.T) {
	file := File{filepath.Join(t.TempDir(), "hosts"), "k"}
	broken := "x\n" + begin("k") + "\n1.1.1.1 theirs\n"
	if err := os.WriteFile(file.Path, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Set([]string{"a"}); err == nil || !strings.Contains(err.Error(), file.Path) || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file.Path); string(text) != broken {
		t.Errorf("%q", text)
	}
}

func FuzzAddingAndTakingAwayGivesBackTheText(f *testing.F) {
	for _, seed := range []string{"", "127.0.0.1 localhost", "a\r\nb", "\n\n", "x\r", "#\n # BEGIN kindgate other\n", "\xff\xfe", block} {
		f.Add([]byte(seed))
	}
	names := []string{"a.localhost", "b.localhost"}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("kindgate k")) {
			return // perhaps a fence: FuzzEdit's
		}
		with, err := Edit(text, "k", names)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !bytes.HasPrefix(with, text) || !slices.Equal(Block(with, "k"), names) {
			t.Fatalf("%q became %q", text, with)
		}
		without, err := Edit(with, "k", nil)
		if added := bytes.TrimPrefix(without, text); err != nil || !bytes.HasPrefix(without, text) || len(bytes.TrimLeft(added, "\r\n")) > 0 || len(added) > 2 {
			t.Fatalf("%q came back as %q (%v)", text, without, err)
		}
	})
}
