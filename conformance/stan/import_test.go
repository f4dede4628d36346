package stan_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
	"github.com/weirmq/weir/conformance/harness"
)

// oldStore writes what nats-streaming-server 0.25.6 left: channel foo with six
// messages, a durable of the client c1 and a durable queue group. The second channel
// is written here, in two slices.
func oldStore(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../internal/wire/stan/testdata/store.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name string, data []byte) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		data, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		if f[0] == "foo/subs.dat" {
			data = data[:681] // while c1 was connected, and message 2 not acknowledged
		}
		put(f[0], data)
	}
	seq := uint64(40) // those before were removed by a limit
	for n := range 2 {
		slice := []byte{1, 0, 0, 0}
		for range 3000 {
			seq++
			m := pb.MsgProto{Sequence: seq, Subject: "a.big", Data: fmt.Appendf(nil, "data %d", seq), Timestamp: int64(seq) * 1e6}
			p, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			slice = binary.LittleEndian.AppendUint32(slice, uint32(len(p)))
			slice = append(binary.LittleEndian.AppendUint32(slice, crc32.ChecksumIEEE(p)), p...)
		}
		put(fmt.Sprintf("a.big/msgs.%d.dat", n+1), slice)
	}
	return dir
}

// imported is what weir says of a channel.
type imported struct {
	Channel  string
	Messages uint64
	LastSeq  uint64 `json:"last_seq"`
	Durables []string
	There    bool
	Verified bool
	Notes    []string
	Error    string
}

func importStan(t *testing.T, s *harness.Server, wantStatus int, args ...string) map[string]imported {
	t.Helper()
	status, out, errs := s.CLI(nil, append([]string{"import", "stan", "--json"}, args...)...)
	if status != wantStatus {
		t.Fatalf("status %d, want %d\n%s\n%s", status, wantStatus, out, errs)
	}
	var list []imported
	if out != "" {
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	all := map[string]imported{}
	for _, i := range list {
		all[i.Channel] = i
	}
	return all
}

// TestApplicationsGoOnWhereTheOldServerStood imports a store, and goes on with the
// client ids and durables of before.
func TestApplicationsGoOnWhereTheOldServerStood(t *testing.T) {
	dir := oldStore(t)
	s := start(t, "")
	got := importStan(t, s, 0, dir)
	if f := got["foo"]; !f.Verified || f.There || f.Messages != 6 || f.LastSeq != 6 || len(f.Durables) < 2 {
		t.Errorf("%+v", f)
	}
	if f := got["a.big"]; !f.Verified || f.Messages != 6000 || f.LastSeq != 6040 {
		t.Errorf("%+v", f)
	}
	// Once more: everything is there, and stays as it is.
	if f := importStan(t, s, 0, dir)["foo"]; !f.Verified || !f.There || len(f.Notes) < 2 {
		t.Errorf("again: %+v", f)
	}
	c := connect(t, s.URL, "c1")
	d := c.subscribe("foo", "", stan.DurableName("dur"), stan.DeliverAllAvailable())
	if m := d.next(); m.Sequence != 2 || string(m.Data) != "m2" || !m.Redelivered || m.Ack() != nil {
		t.Fatalf("the first message is %d, %s", m.Sequence, m.Data)
	}
	for want := uint64(6); want <= 7; want++ {
		if want == 7 {
			if err := c.Publish("foo", []byte("m7")); err != nil {
				t.Fatal(err)
			}
		}
		if m := d.next(); m.Sequence != want || string(m.Data) != fmt.Sprint("m", want) || m.Redelivered || m.Timestamp < 1795227102221014588 {
			t.Fatalf("message %d, %s, redelivered %v; want %d", m.Sequence, m.Data, m.Redelivered, want)
		}
	}
	if m := c.subscribe("a.big", "", stan.DeliverAllAvailable()).next(); m.Sequence != 41 || string(m.Data) != "data 41" {
		t.Errorf("message %d, %s", m.Sequence, m.Data)
	}
	again(s, true)
	c.back()
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), "a%2Ebig")
	if err != nil || st.CachedInfo().State.FirstSeq != 41 || st.CachedInfo().State.Msgs != 6000 {
		t.Fatal(st, err)
	}
}

// TestWhatCannotBeImportedIsSaid has damage, another stream in the way, and a server
// that serves nobody.
func TestWhatCannotBeImportedIsSaid(t *testing.T) {
	dir := oldStore(t)
	s := start(t, "")
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "foo"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.big", "msgs.2.dat")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[1000] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got := importStan(t, s, 1, dir)
	if f := got["foo"]; f.Verified || !strings.Contains(f.Error, "not this channel") {
		t.Errorf("%+v", f)
	}
	if f := got["a.big"]; f.Verified || !strings.Contains(f.Error, "msgs.2.dat at ") {
		t.Errorf("%+v", f)
	}
	if _, err := js.Stream(t.Context(), "a%2Ebig"); err == nil {
		t.Error("half of a channel is there")
	}
	if f := importStan(t, s, 0, dir, "--skip-damaged", "--channel", "a.big")["a.big"]; !f.Verified || f.Messages != 5999 || len(f.Notes) != 1 {
		t.Errorf("%+v", f)
	}
	other := harness.Start(t, "")
	if f := importStan(t, other, 1, dir, "--channel", "foo")["foo"]; !strings.Contains(f.Error, "does weir serve streaming clients of the cluster tc") {
		t.Errorf("%+v", f)
	}
}
