package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// testKey is a configuration with a key, which is quickly made use of.
func testKey(key string) EncryptionConfig {
	return EncryptionConfig{Key: key, Cipher: atrest.ChaCha, cost: atrest.Cost{LogN: 2, R: 1, P: 1}}
}

// tryWith builds the rooms on a directory, with some encryption.
func tryWith(dir string, e EncryptionConfig, change ...func(*Config)) (*rooms, error) {
	c := defaultConfig()
	c.JetStream.StoreDir, c.JetStream.Encryption = dir, e
	for _, f := range change {
		f(c)
	}
	c.settle()
	return buildOn(vfs.OS{}, c, slog.New(slog.DiscardHandler))
}

func openWith(t *testing.T, dir string, e EncryptionConfig, change ...func(*Config)) *node {
	t.Helper()
	r, err := tryWith(dir, e, change...)
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}
}

// filesBelow are the files of a directory, but for the lock.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "lock" || name == "reserve" {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// showing are the files that hold a text.
func showing(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	for name, b := range filesBelow(t, dir) {
		if strings.Contains(b, text) {
			names = append(names, name)
		}
	}
	return names
}

// fill makes a stream with marks wherever a client can leave one, and n messages
// behind those that it has.
func (n *node) fill(count int) {
	n.t.Helper()
	n.request("$JS.API.STREAM.CREATE.MARKSTREAM", `{"name":"MARKSTREAM","subjects":["marksubject.>"],"description":"markdescription","max_msgs_per_subject":100}`)
	n.request("$JS.API.CONSUMER.DURABLE.CREATE.MARKSTREAM.MARKCONSUMER",
		`{"stream_name":"MARKSTREAM","config":{"durable_name":"MARKCONSUMER","ack_policy":"explicit","filter_subject":"marksubject.filter"}}`)
	for i := range count {
		n.request(fmt.Sprintf("marksubject.%d", i), "markdata "+strings.Repeat("more markdata ", 20))
	}
}

// stored says how many messages the stream has, and reads each.
func (n *node) stored() int {
	n.t.Helper()
	s := n.streams.Find("$G", "MARKSTREAM")
	if s == nil {
		n.t.Fatal("no stream")
	}
	r := s.Partition().Reader(1)
	defer r.Close()
	for i := 0; ; i++ {
		v, err := r.Next()
		if err != nil {
			return i
		}
		if !bytes.HasPrefix(v.Data, []byte("markdata ")) {
			n.t.Fatalf("record %d is %q", v.Seq, v.Data)
		}
	}
}

var marks = []string{"markdata", "marksubject", "MARKSTREAM", "MARKCONSUMER", "markdescription"}

func TestNothingThatAClientSaidIsReadableInAnEncryptedDirectory(t *testing.T) {
	for _, key := range []string{"", "secret"} {
		dir := t.TempDir()
		e := EncryptionConfig{}
		if key != "" {
			e = testKey(key)
		}
		n := openWith(t, dir, e)
		n.fill(50)
		running := t.TempDir()
		copyDir(t, running, dir) // all in the journal
		if err := n.storage.checkpointAll(); err != nil {
			t.Fatal(err)
		}
		n.fill(20)
		n.shut()
		for _, at := range []string{running, dir} {
			for _, mark := range marks {
				names := showing(t, at, mark)
				if (len(names) > 0) == (key != "") {
					t.Errorf("key %q: %q is in %q", key, mark, names)
				}
			}
			n := openWith(t, at, e)
			want := 50
			if at == dir {
				want = 70
			}
			if got := n.stored(); got != want {
				t.Errorf("key %q: %d messages of %d", key, got, want)
			}
			n.shut()
		}
		if key != "" && len(showing(t, dir, key)) > 0 {
			t.Error("the key is in the directory")
		}
	}
}

func TestAWrongKeyIsToldAndNothingIsTouched(t *testing.T) {
	dir := t.TempDir()
	n := openWith(t, dir, testKey("right"))
	n.fill(5)
	n.shut()
	before := filesBelow(t, dir)
	wrong, both := testKey("wrong"), testKey("wrong")
	both.Previous = "wrong, too"
	for name, e := range map[string]EncryptionConfig{"wrong": wrong, "two wrong": both, "none": {}} {
		_, err := tryWith(dir, e)
		if err == nil || !strings.Contains(err.Error(), "set jetstream { key }") || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "none" && !errors.Is(err, atrest.ErrWrongKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !maps.Equal(before, filesBelow(t, dir)) {
		t.Error("files were changed")
	}
	n = openWith(t, dir, testKey("right"))
	if got := n.stored(); got != 5 {
		t.Errorf("%d messages", got)
	}
	n.shut()
}

func TestAChangedKeyReadsWhatTheOldOneWrote(t *testing.T) {
	dir := t.TempDir()
	n := openWith(t, dir, testKey("old"))
	n.fill(5)
	n.shut()
	old := filesBelow(t, dir)
	next := testKey("new")
	next.Previous, next.Cipher = "old", atrest.AES
	n = openWith(t, dir, next)
	n.fill(5)
	n.shut()
	for _, name := range []string{keyFile, keyFileCopy} {
		now := filesBelow(t, dir)[name]
		if now == old[name] {
			t.Errorf("%s was not written again", name)
		}
	}
	if _, err := tryWith(dir, testKey("old")); !errors.Is(err, atrest.ErrWrongKey) {
		t.Errorf("with the old key: %v", err)
	}
	n = openWith(t, dir, testKey("new"))
	if got := n.stored(); got != 10 {
		t.Errorf("%d messages", got)
	}
	n.shut()
}

func TestEncryptionBeginsOverAPlainDirectory(t *testing.T) {
	dir := t.TempDir()
	n := openWith(t, dir, EncryptionConfig{})
	n.fill(5)
	n.shut()
	n = openWith(t, dir, testKey("secret"))
	if got := n.stored(); got != 5 {
		t.Errorf("%d messages of before", got)
	}
	n.request("marksubject.new", "markdata that is only said encrypted")
	n.shut()
	if names := showing(t, dir, "only said encrypted"); len(names) > 0 {
		t.Errorf("what is new is in the clear in %q", names)
	}
	for name, b := range filesBelow(t, dir) {
		if (name == "catalog" || path.Base(name) == "manifest") && strings.Contains(b, "mark") {
			t.Errorf("%s is in the clear", name)
		}
	}
	n = openWith(t, dir, testKey("secret"))
	if got := n.stored(); got != 6 {
		t.Errorf("%d messages", got)
	}
	n.shut()
}

func TestALostOrDamagedKeyFileIsReplacedByItsCopy(t *testing.T) {
	dir := t.TempDir()
	n := openWith(t, dir, testKey("secret"))
	n.fill(5)
	n.shut()
	good := filesBelow(t, dir)[keyFile]
	for _, name := range []string{keyFile, keyFileCopy} {
		for _, harm := range []func(string) error{
			os.Remove,
			func(name string) error { return os.WriteFile(name, []byte(good[:40]+"x"+good[41:]), 0o600) },
		} {
			if err := harm(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			openWith(t, dir, testKey("secret")).shut()
			if now := filesBelow(t, dir); now[keyFile] != good || now[keyFileCopy] != good {
				t.Errorf("%s was not put back", name)
			}
		}
	}
	for _, name := range []string{keyFile, keyFileCopy} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := filesBelow(t, dir)
	if _, err := tryWith(dir, testKey("secret")); err == nil || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("without a key file: %v", err)
	}
	if !maps.Equal(before, filesBelow(t, dir)) {
		t.Error("files were changed")
	}
}

// segmentBytes is how long the segments of a directory are.
func segmentBytes(t *testing.T, dir string) (n int) {
	t.Helper()
	for name, b := range filesBelow(t, dir) {
		if strings.HasSuffix(name, ".seg") {
			n += len(b)
		}
	}
	return n
}

func TestCompressionOfAStreamTakesEffectAndStays(t *testing.T) {
	sizes := map[string]int{}
	for how, change := range map[string]func(*Config){
		"none": func(*Config) {}, "s2": func(*Config) {}, "server": func(c *Config) { c.JetStream.Compression = atrest.Zstd },
	} {
		dir := t.TempDir()
		n := openWith(t, dir, EncryptionConfig{}, change)
		n.fill(1)
		config := `{"name":"MARKSTREAM","subjects":["marksubject.>"],"max_msgs_per_subject":100,"compression":%q}`
		if how == "s2" {
			a := n.request("$JS.API.STREAM.UPDATE.MARKSTREAM", fmt.Sprintf(config, how))
			if got := a["config"].(map[string]any)["compression"]; got != "s2" {
				t.Errorf("compression %v", got)
			}
		}
		n.shut()
		n = openWith(t, dir, EncryptionConfig{}, change) // it is kept over a restart
		for i := range 100 {
			n.request(fmt.Sprintf("marksubject.%d", i), "markdata "+strings.Repeat("more markdata ", 100))
		}
		n.shut()
		sizes[how] = segmentBytes(t, dir)
		n = openWith(t, dir, EncryptionConfig{}, change)
		if got := n.stored(); got != 101 {
			t.Errorf("%s: %d messages", how, got)
		}
		n.shut()
	}
	if sizes["none"] < 100*1400 || sizes["s2"] > sizes["none"]/4 || sizes["server"] > sizes["none"]/4 {
		t.Errorf("segments have %v bytes", sizes)
	}
}

func TestKeysOfEncryptionAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_TEST_KEY", "environment1")
	for text, want := range map[string]EncryptionConfig{
		`jetstream { key: k }`:                                          {Key: "k", Cipher: atrest.DefaultCipher()},
		`jetstream { ek: k, cipher: chacha }`:                           {Key: "k", Cipher: atrest.ChaCha},
		`jetstream { encryption_key: k, cipher: "AES", prev_key: old }`: {Key: "k", Previous: "old", Cipher: atrest.AES},
		`jetstream { key: k, cipher: chachapoly, prev_ek: old }`:        {Key: "k", Previous: "old", Cipher: atrest.ChaCha},
		`jetstream { key: k, cipher: aes, prev_encryption_key: old }`:   {Key: "k", Previous: "old", Cipher: atrest.AES},
		`jetstream { key: $WEIR_TEST_KEY, cipher: aes }`:                {Key: "environment1", Cipher: atrest.AES},
		fmt.Sprintf(`jetstream { key_file: %q, cipher: aes }`, file):    {Key: "from a file", Cipher: atrest.AES},
		`jetstream {}`: {},
	} {
		c, err := loadText(t, text)
		if err != nil || c.JetStream.Encryption != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	for text, want := range map[string]string{
		`jetstream { cipher: aes }`:              "no key",
		`jetstream { prev_key: k }`:              "no key",
		`jetstream { key: k, cipher: rot13 }`:    "rot13",
		`jetstream { key_file: "/does/not/be" }`: "cannot be read",
		`jetstream { compression: lzma }`:        "lzma",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
