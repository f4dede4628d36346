package server

import (
	"context"
	"log/slog"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	stanwire "github.com/weirmq/weir/internal/wire/stan"
)

// stanNode is a server for streaming clients on a disk of its own.
type stanNode struct {
	t     *testing.T
	r     *rooms
	space *broker.Space
	c     *Config
}

// startStanNode starts one; an error says why it does not start.
func startStanNode(t *testing.T, disk *faultfs.FS) (*stanNode, error) {
	c := defaultConfig()
	c.Stan.Enabled, c.Stan.Door.Cluster, c.Stan.Door.Memory = true, "tc", false
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	r.start(context.Background())
	n := &stanNode{t: t, r: r, space: r.spaces.Get(account.Global), c: c}
	if err := r.startStan(context.Background()); err != nil {
		_ = r.close(context.Background()) // it did not start
		return nil, err
	}
	return n, nil
}

func (n *stanNode) ask(subject string, data []byte) []byte {
	n.t.Helper()
	got := make(chan []byte, 1)
	stop := n.space.Serve("_INBOX.test", answerTo(got))
	defer stop()
	n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte("_INBOX.test"), Data: data})
	select {
	case b := <-got:
		return b
	case <-time.After(10 * time.Second):
		n.t.Fatalf("no answer from %s", subject)
		return nil
	}
}

// publish connects, if need be, and publishes to the channel foo. It returns the text of
// what is wrong.
func (n *stanNode) publish() string {
	n.t.Helper()
	n.ask("_STAN.discover.tc", (&stanwire.ConnectRequest{ClientID: "me", HeartbeatInbox: "h"}).Append(nil))
	var ack stanwire.PubAck
	m := stanwire.PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte("foo"), Data: []byte("m")}
	if err := ack.Decode(n.ask("_STAN.pub.tc.foo", m.Append(nil))); err != nil {
		n.t.Fatal(err)
	}
	return ack.Error
}

// files lists a disk's files.
func files(t *testing.T, disk *faultfs.FS, dir string) (out []string) {
	t.Helper()
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		p := path.Join(dir, name)
		info, err := disk.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Dir {
			out = append(out, files(t, disk, p)...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// TestNoChannelBeginsAnewWhateverFileIsMissing removes each file of a data directory, after
// an orderly end and after a crash: the server does not start, or refuses to publish, or
// goes on behind what the channel had. It never takes a missing file for a new channel.
func TestNoChannelBeginsAnewWhateverFileIsMissing(t *testing.T) {
	disk := faultfs.New()
	n, err := startStanNode(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	const stored = 5
	for range stored {
		if text := n.publish(); text != "" {
			t.Fatal(text)
		}
	}
	crashed := disk.CrashClone(faultfs.KeepAll, 0)
	if err := n.r.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	refused, went := 0, 0
	for what, base := range map[string]*faultfs.FS{"stopped": disk.CrashClone(faultfs.KeepAll, 0), "crashed": crashed} {
		for _, file := range files(t, base, n.c.JetStream.StoreDir) {
			if base == crashed && strings.Contains(file, "/journal/") {
				continue // it is all there is of the channel
			}
			disk := base.CrashClone(faultfs.KeepAll, 0)
			if err := disk.Remove(file); err != nil {
				t.Fatal(err)
			}
			n, err := startStanNode(t, disk)
			if err != nil {
				refused++
				continue
			}
			if text := n.publish(); text == "" {
				went++
				if ch := n.r.stan.Stats().Channels; len(ch) != 1 || ch[0].Last != stored+1 {
					t.Errorf("%s, without %s: %+v", what, file, ch)
				}
			}
			_ = n.r.close(context.Background()) // it may say what is damaged
		}
	}
	if refused == 0 || went == 0 {
		t.Errorf("refused %d times, went on %d times: files are not what they were", refused, went)
	}
}
