package hosts

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const block = "# BEGIN kindgate k\n127.0.0.1 a.localhost\n127.0.0.1 b.localhost\n# END kindgate k\n"

const other = "# BEGIN kindgate other\n127.0.0.1 c\n# END kindgate other\n"

func TestEditChangesNothingButItsOwnBlockWhichStaysWhereItIs(t *testing.T) {
	const ab = "a.localhost b.localhost"
	one := begin("k") + "\n127.0.0.1 x.localhost\n" + end("k") + "\n"
	for _, test := range []struct{ name, names, before, after string }{
		{"an empty file", ab, "", block},
		{"a file without a block", ab, "127.0.0.1 localhost\n", "127.0.0.1 localhost\n" + block},
		{"a file without a last line end", ab, "127.0.0.1 localhost", "127.0.0.1 localhost\n" + block},
		{"a block in the middle", ab, "x\n# BEGIN kindgate k\n127.0.0.1 old\n# END kindgate k\ny\n", "x\n" + block + "y\n"},
		{"other people's lines in the block", "x.localhost",
			"# BEGIN kindgate k\n10.0.0.1 nas\n127.0.0.1 old\n# note\n\n127.0.0.1\tx y\n# END kindgate k\nz\n",
			one + "10.0.0.1 nas\n# note\n\n127.0.0.1\tx y\nz\n"},
		{"the same, and no names any more", "", "x\r\n# BEGIN kindgate k\r\n127.0.0.1 old\r\n# note\r\n# END kindgate k\r\n", "x\r\n# note\r\n"},
		{"two blocks", ab, block + "x\n" + block, block + "x\n"},
		{"another cluster's block", ab, other, other + block},
		{"CRLF", ab, "127.0.0.1 localhost\r\n", "127.0.0.1 localhost\r\n" + strings.ReplaceAll(block, "\n", "\r\n")},
		{"the wanted block", ab, "x\n" + block, "x\n" + block},
		{"fewer names", "x.localhost", "first\n" + block + "between\n" + other + "last", "first\n" + one + "between\n" + other + "last"},
		{"more names", ab, "first\n" + one + "between\n" + other + "last", "first\n" + block + "between\n" + other + "last"},
		{"no names any more", "", "x\n" + block + "y\n", "x\ny\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			names := strings.Fields(test.names)
			after, err := Edit([]byte(test.before), "k", names)
			if err != nil || string(after) != test.after || !slices.Equal(Block(after, "k"), names) {
				t.Errorf("%v, got %q, want %q", err, after, test.after)
			}
		})
	}
}

func TestBlockReadsOnlyWhatIsWrittenAsItsOwnAndNoOtherClusters(t *testing.T) {
	text := "127.0.0.1 outside\n" + other + begin("k") + "\r\n# a comment\r\n\r\n127.0.0.1 a\r\n::1 c\r\n127.0.0.1\r\n127.0.0.1 d e\r\n" +
		end("k") + "\r\n127.0.0.1 outside\r\n"
	for cluster, want := range map[string][]string{"k": {"a"}, "other": {"c"}} {
		if got := Block([]byte(text), cluster); !slices.Equal(got, want) {
			t.Error(cluster, got)
		}
	}
}

// written is a hosts file with the given text.
func written(t *testing.T, text string, mode fs.FileMode) File {
	t.Helper()
	file := File{filepath.Join(t.TempDir(), "hosts"), "k"}
	if err := os.WriteFile(file.Path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAFileWithABrokenFenceIsNamedWithTheLineAndLeftAsItIs(t *testing.T) {
	for _, text := range []string{
		"x\n# BEGIN kindgate k\n1.1.1.1 theirs\n", "x\n# END kindgate k\n", "x\n# BEGIN kindgate k\n# BEGIN kindgate k\n# END kindgate k\n",
	} {
		file := written(t, text, 0o644)
		if _, err := file.Set([]string{"a"}); err == nil || !strings.Contains(err.Error(), file.Path+", line 2: ") {
			t.Errorf("%q: %v", text, err)
		}
		if after, _ := os.ReadFile(file.Path); string(after) != text {
			t.Errorf("%q became %q", text, after)
		}
	}
}

func TestSetKeepsModeAndSymbolicLinkAndIsIdempotent(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "hosts")
	if err := errors.Join(os.WriteFile(target, []byte("127.0.0.1 localhost\n"), 0o640), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	file := File{link, "k"}
	for i, want := range []bool{true, false} {
		changed, err := file.Set([]string{"a.localhost", "b.localhost"})
		if err != nil || changed != want {
			t.Fatalf("call %d: %v %v", i, changed, err)
		}
	}
	text, _ := os.ReadFile(target)
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 || string(text) != "127.0.0.1 localhost\n"+block {
		t.Errorf("%v, %q", err, text)
	}
	if info, _ := os.Stat(target); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if names, err := file.Names(); err != nil || !slices.Equal(names, []string{"a.localhost", "b.localhost"}) {
		t.Error(names, err)
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

func TestSetRefusesAReadOnlyFile(t *testing.T) {
	file := written(t, "127.0.0.1 x\n", 0o444)
	if _, err := file.Set([]string{"a"}); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file.Path); string(text) != "127.0.0.1 x\n" {
		t.Errorf("%q", text)
	}
}

type resolver map[string][]string

func (r resolver) LookupHost(_ context.Context, host string) ([]string, error) {
	if addresses, ok := r[host]; ok {
		return addresses, nil
	}
	return nil, errors.New("no such host")
}

func TestANameIsLedHereUnlessItIsOrMayBeSomebodyElses(t *testing.T) {
	file := written(t, "10.0.0.1 nas.test\n0.0.0.0 ads.test\n"+
		begin("k")+"\n127.0.0.1 known.test\n127.0.0.1 www.example.com\n"+end("k")+"\n", 0o644)
	const public = "somebody's"
	for _, test := range []struct {
		name, addresses, reason string
		wanted                  bool // without a reason: the block must have it
	}{
		{"shop.test", "", "", true},
		{"a.localhost", "", "", true},
		{"a.localhost", "127.0.0.1 ::1", "", false}, // many systems lead it here by themselves
		{"localhost", "127.0.0.1", "", false},
		{"deep.below.example", "", "", true},
		{"Shop.TEST.", "", "", true},
		{"box.home.arpa", "", "", true},
		{"box.internal", "", "", true},
		{"box.local", "", "", true},
		{"known.test", "127.0.0.1", "", true}, // it leads here because the block has it
		{"known.test", "", "", true},
		{"box.local", "192.168.1.5", "leads to 192.168.1.5", false},
		{"box.internal", "127.0.0.1 10.0.0.1 10.0.0.2", "leads to 10.0.0.1, 10.0.0.2", false},
		{"nas.test", "", "line 1 of the hosts file leads it to 10.0.0.1", false},
		{"ads.test", "0.0.0.0", "line 2 of the hosts file leads it to 0.0.0.0", false},
		{"www.example.com", "", public, false},
		{"www.example.com", "127.0.0.1", public, false}, // by the block, which an earlier run has written
		{"other.example.com", "127.0.0.1", "", false},
		{"other.example.com", "93.184.216.34", "leads to 93.184.216.34", false},
		{"home.arpa.com", "", public, false},
		{"arpa", "", public, false},
		{"mytest", "", public, false},
		{"intranet", "", public, false},
		{"localhost.de", "", public, false},
	} {
		names, err := file.Look(t.Context(), resolver{test.name: strings.Fields(test.addresses)}, []string{test.name})
		if err != nil {
			t.Fatal(err)
		}
		wanted, withheld := Choose(names, false)
		var reason string
		if len(withheld) > 0 {
			reason = withheld[0].Withheld()
		}
		if len(wanted) > 0 != test.wanted || (reason != "") != (test.reason != "") || !strings.Contains(reason, test.reason) {
			t.Errorf("%s (%s): wanted %v, withheld because %q", test.name, test.addresses, wanted, reason)
		}
		wanted, withheld = Choose(names, true)
		if len(withheld) > 0 || (len(wanted) > 0) != (test.wanted || test.reason != "") {
			t.Errorf("%s (%s), with all: wanted %v, withheld %v", test.name, test.addresses, wanted, withheld)
		}
	}
}

func TestNamesKeepTheirOrderAndAnUnreadableFileHidesNoneOfThem(t *testing.T) {
	names, err := File{t.TempDir(), "k"}.Look(t.Context(), resolver{"b": {"127.0.0.1"}}, []string{"c", "b", "a"})
	if err == nil || len(names) != 3 || names[0].Name != "c" || names[0].Here() || !names[1].Here() || names[2].Name != "a" {
		t.Errorf("%v, %+v", err, names)
	}
}

func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		"", "127.0.0.1 localhost\n", block, "x\r\n", "# BEGIN kindgate k\n", "# END kindgate k", "x\n" + block + block,
	} {
		f.Add([]byte(seed), "a.localhost b.localhost")
	}
	f.Fuzz(func(t *testing.T, text []byte, words string) {
		var names []string
		for _, name := range strings.Fields(words) {
			if !strings.ContainsAny(name, "#\r\n") {
				names = append(names, name)
			}
		}
		after, err := Edit(text, "k", names)
		if err != nil {
			return
		}
		if outside(after) != outside(text) {
			t.Fatalf("foreign lines: %q became %q", text, after)
		}
		if again, err := Edit(after, "k", names); err != nil || !bytes.Equal(again, after) {
			t.Fatalf("not idempotent: %q became %q (%v)", after, again, err)
		}
	})
}

// outside is what is not ours, the last line's end aside.
func outside(text []byte) string {
	var lines []string
	inside := false
	for line := range strings.Lines(string(text)) {
		switch strings.TrimSpace(line) {
		case begin("k"):
			inside = true
		case end("k"):
			inside = false
		default:
			if !inside || !isEntry(strings.TrimSpace(line)) {
				lines = append(lines, line)
			}
		}
	}
	return strings.TrimRight(strings.Join(lines, ""), "\r\n")
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
		added := bytes.TrimPrefix(without, text) // a last line end, where the file had none
		if err != nil || !bytes.HasPrefix(without, text) || len(bytes.TrimLeft(added, "\r\n")) > 0 || len(added) > 2 {
			t.Fatalf("%q came back as %q (%v)", text, without, err)
		}
	})
}

func TestALineThatLeadsANameElsewhereIsFound(t *testing.T) {
	const text = "127.0.0.1 shop.test\r\n# 10.0.0.1 shop.test\n" +
		"# BEGIN kindgate k\n127.0.0.1 shop.test\n# END kindgate k\n10.0.0.3\tother Shop.Test # shop\n"
	found := elsewhere([]byte(text), "k", []string{"shop.test", "shop"})
	if place := found["shop.test"]; place != (Place{6, "10.0.0.3"}) {
		t.Errorf("%+v", place)
	}
	if place, ok := found["shop"]; ok {
		t.Errorf("%+v", place)
	}
}

func TestNamesAreNotWrittenIntoAFileOfAnotherKind(t *testing.T) {
	for text, is := range map[string]bool{
		"": true, "# mine\n\n": true, "127.0.0.1 localhost\n": true, "\tfe80::1%lo0 host # of mine\nnonsense\n": true, begin("k") + "\n" + end("k") + "\n": true,
		"apiVersion: v1\nkind: Config\n": false, "root:x:0:0:root:/root:/bin/bash\n": false, "127.0.0.1\n": false, "127.0.0.1: yes\n": false,
	} {
		file := File{filepath.Join(t.TempDir(), "hosts"), "k"}
		if err := os.WriteFile(file.Path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := file.Set([]string{"a.localhost"})
		now, _ := os.ReadFile(file.Path)
		if (err == nil) != is || !is && string(now) != text {
			t.Errorf("%q: %v, now %q", text, err, now)
		}
	}
	file := File{filepath.Join(t.TempDir(), "hosts"), "k"}
	text := "key: value\n" + begin("k") + "\n" + entry("a.localhost") + "\n" + end("k") + "\n"
	if err := os.WriteFile(file.Path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Set(nil); err != nil {
		t.Errorf("what an earlier release has written there is taken out again: %v", err)
	}
}

func TestAFileInUTF16IsLeftAsItIs(t *testing.T) {
	if _, err := Edit([]byte("\xff\xfe1\x002\x00"), "k", []string{"a.test"}); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Error(err)
	}
}
