package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/broker"
	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	stanwire "github.com/weirmq/weir/internal/wire/stan"
)

// stanServerFlags is the old streaming server's own set, with values for those that
// take one.
const stanServerFlags = `-cluster_id=x -cid=x -store=FILE -st=memory -dir=d -max_channels=1 -mc=1 -max_subs=1 -msu=1 -max_msgs=1 -mm=1
-max_bytes=1KB -mb=1 -max_age=1s -ma=1s -max_inactivity=1s -mi=1s -nats_server= -ns= -stan_config=f -sc=f -hb_interval=1s -hbi=1s
-hb_timeout=1s -hbt=1s -hb_fail_count=1 -hbf=1 -ft_group=g -encrypt=false -encryption_key=k -encryption_cipher=AES -replace_durable -clustered=false
-cluster_node_id=a -cluster_bootstrap=false -cluster_peers=a -cluster_log_path=p -cluster_log_cache_size=1 -cluster_log_snapshots=1
-cluster_trailing_logs=1 -cluster_sync -cluster_raft_logging -cluster_proceed_on_restore_failure -cluster_allow_add_remove_node
-file_compact_enabled -file_compact_frag=1 -file_compact_interval=1 -file_compact_min_size=1 -file_buffer_size=1 -file_crc
-file_crc_poly=1 -file_sync -file_slice_max_msgs=1 -file_slice_max_bytes=1 -file_slice_max_age=1s -file_slice_archive_script=s
-file_fds_limit=1 -file_parallel_recovery=1 -file_truncate_bad_eof -file_read_buffer_size=1 -file_auto_sync=1m -io_batch_size=1
-io_sleep_time=1 -sql_driver=d -sql_source=s -sql_no_caching -sql_max_open_conns=1 -sql_bulk_insert_limit=1 -secure -tls_client_key=f
-tls_client_cert=f -tls_client_cacert=f -stan_debug -SD -stan_trace -SV -SDV -syslog_name=n`

func TestEveryFlagOfTheOldStreamingServerIsKnown(t *testing.T) {
	for arg := range strings.FieldsSeq(stanServerFlags) {
		f, err := ParseFlags([]string{arg})
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		c := defaultConfig()
		for _, set := range f.set {
			set(c)
		}
		if !c.Stan.Enabled {
			t.Errorf("%s does not turn streaming on", arg)
		}
	}
	for _, arg := range []string{"-store=SQL", "-store=x", "-encryption_cipher=DES", "-clustered", "-max_msgs=-1", "-max_age=-1s", "-cid=a b", "-hbf=x"} {
		if _, err := ParseFlags([]string{arg}); err == nil {
			t.Errorf("%s is taken", arg)
		}
	}
}

func TestFlagsOfTheOldStreamingServerAreHonoured(t *testing.T) {
	f, err := ParseFlags(strings.Fields("-cid me -store file -dir /data -mc 5 -msu 6 -mm 7 -mb 8KB -ma 9s -mi 10m -hbi 1s -hbt 2s -hbf 3 -replace_durable"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := standoor.Options{
		Cluster: "me", HeartbeatInterval: time.Second, HeartbeatTimeout: 2 * time.Second, HeartbeatFails: 3, ReplaceDurable: true,
		Limits: standoor.Limits{MaxChannels: 5, ChannelLimits: standoor.ChannelLimits{MaxSubs: 6, MaxMsgs: 7, MaxBytes: 8 << 10, MaxAge: 9 * time.Second, MaxInactivity: 10 * time.Minute}},
	}
	if !reflect.DeepEqual(c.Stan.Door, want) || c.JetStream.StoreDir != "/data" || !c.stores() {
		t.Errorf("%+v", c.Stan.Door)
	}
	f, err = ParseFlags(strings.Fields("-ns nats://elsewhere:4222 -secure -tls_client_cert c -tls_client_key k -tls_client_cacert a"))
	if err != nil {
		t.Fatal(err)
	}
	c, err = f.Load()
	if r := (RemoteConfig{Servers: "nats://elsewhere:4222", Secure: true, CertFile: "c", KeyFile: "k", CAFile: "a"}); err != nil || c.Stan.Remote != r || c.HTTP.Port != 0 {
		t.Errorf("another NATS system: %+v, %v", c.Stan.Remote, err)
	}
}

// stanFile is a configuration of the old streaming server, as its manual shows it.
const stanFile = `streaming {
  id: my_cluster
  store: "file"
  dir: "%s"
  hb_interval: "5s"
  hb_timeout: "1s"
  hb_fail_count: 2
  replace_durable: true
  ft_group: "ft"
  file_options { compact: true, sync_on_flush: true, slice_max_msgs: 10 }
  store_limits {
    max_channels: 10, max_subs: 50, max_msgs: 1000, max_bytes: 10GB, max_age: "24h"
    channels {
      "foo.*" { max_msgs: 500, max_age: "1h" }
      "foo.bar" { max_msgs: 0, max_subs: 3 }
    }
  }
}`

func TestFileOfTheOldStreamingServerIsHonoured(t *testing.T) {
	dir := t.TempDir()
	inner := strings.ReplaceAll(stanFile, "%s", dir)
	outer := strings.TrimSuffix(strings.TrimPrefix(inner, "streaming {"), "}") // without the block
	for _, text := range []string{inner, outer} {
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		d := &c.Stan.Door
		if !c.Stan.Enabled || d.Cluster != "my_cluster" || d.Memory || d.HeartbeatInterval != 5*time.Second || d.HeartbeatFails != 2 || !d.ReplaceDurable {
			t.Errorf("%+v", d)
		}
		if got := d.Limits.Of("foo.baz"); got.MaxMsgs != 500 || got.MaxAge != time.Hour || got.MaxSubs != 50 {
			t.Errorf("foo.baz: %+v", got)
		}
		if got := d.Limits.Of("foo.bar"); got.MaxMsgs != 0 || got.MaxAge != time.Hour || got.MaxSubs != 3 {
			t.Errorf("foo.bar: %+v", got)
		}
		if got := d.Limits.Of("bar"); got.MaxMsgs != 1000 || got.MaxBytes != 10<<30 || got.MaxAge != 24*time.Hour {
			t.Errorf("bar: %+v", got)
		}
		if c.JetStream.StoreDir != dir || c.JetStream.Enabled {
			t.Errorf("JetStream: %+v", c.JetStream)
		}
		told := strings.Join(c.Warnings, "\n")
		for _, key := range []string{"ft_group", "compact", "slice_max_msgs"} {
			if !strings.Contains(told, key) {
				t.Errorf("no warning names %s: %s", key, told)
			}
		}
	}
	for text, want := range map[string]string{
		`stan { store: sql }`:                              "SQL",
		`stan { encrypt: true }`:                           "encryption key required",
		`stan { encryption_cipher: DES }`:                  "cipher",
		`stan { partitioning: true }`:                      "partitioned",
		`stan { store_limits { max_msgs: -1 } }`:           "negative",
		`stan { store_limits { channels { "a..b" {} } } }`: "invalid channel name",
		`stan { account: nobody }`:                         "no account",
		`stan { id: "a b" }`:                               "subject",
		`stan { store_limits { max_channels: 1, channels { a {}, b {}, "c.>" {} } } }`: "too many channels defined (2). The max channels limit is set to 1",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestEncryptionOfTheOldStreamingServerIsHonoured: what was stored encrypted there is
// stored encrypted here, and never in the clear.
func TestEncryptionOfTheOldStreamingServerIsHonoured(t *testing.T) {
	for _, c := range []struct {
		flags, file, env string
		key              string
		cipher           atrest.Cipher
	}{
		{flags: "-encryption_key k", key: "k", cipher: atrest.DefaultCipher()},
		{flags: "-encrypt -encryption_cipher CHACHA", env: "e", key: "e", cipher: atrest.ChaCha},
		{flags: "-encryption_key k -encryption_cipher AES", env: "e", key: "e", cipher: atrest.AES},
		{flags: "-encryption_cipher AES", env: "e"},
		{flags: "-encrypt=false", env: "e"},
		{file: `stan { encrypt: true, encryption_key: k, encryption_cipher: "" }`, key: "k", cipher: atrest.DefaultCipher()},
		{file: `encryption_key: k`, flags: "-cid x", key: "k", cipher: atrest.DefaultCipher()},
		{file: `stan { encrypt: true }, jetstream { key: j, cipher: chacha }`, key: "j", cipher: atrest.ChaCha},
	} {
		t.Setenv(stanKeyEnv, c.env)
		args := strings.Fields(c.flags)
		if c.file != "" {
			file := filepath.Join(t.TempDir(), "stan.conf")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-c", file)
		}
		f, err := ParseFlags(args)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Load()
		if err != nil {
			t.Errorf("%s %s: %v", c.flags, c.file, err)
			continue
		}
		if e := got.JetStream.Encryption; e.Key != c.key || e.Cipher != c.cipher {
			t.Errorf("%s %s: key %q, cipher %v", c.flags, c.file, e.Key, e.Cipher)
		}
	}
	t.Setenv(stanKeyEnv, "other")
	if _, err := loadText(t, `stan { encrypt: true }, jetstream { key: j }`); err == nil || !strings.Contains(err.Error(), "one key") {
		t.Errorf("two keys: %v", err)
	}
}

func TestDirectoryOfTheOldStreamingServerIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"server.dat", "clients.dat"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte{1, 0, 0, 0}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := defaultConfig()
	c.Stan.Enabled, c.Stan.Dir = true, dir
	c.settle()
	if _, err := build(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "file store of NATS Streaming") {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestStreamingIsServedAndMonitored runs the assembled server without JetStream.
func TestStreamingIsServedAndMonitored(t *testing.T) {
	c := defaultConfig()
	c.Stan.Enabled, c.Stan.Door.Cluster, c.Stan.Door.Memory = true, "tc", false
	c.settle()
	c.JetStream.Enabled = false
	r, err := buildOn(faultfs.New(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	defer func() {
		if err := r.close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := r.startStan(context.Background()); err != nil {
		t.Fatal(err)
	}
	space := r.spaces.Get(account.Global)
	ask := func(subject string, data []byte) []byte {
		t.Helper()
		got := make(chan []byte, 1)
		stop := space.Serve("_INBOX.test", answerTo(got))
		defer stop()
		space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte("_INBOX.test"), Data: data})
		select {
		case b := <-got:
			return b
		case <-time.After(10 * time.Second):
			t.Fatalf("no answer from %s", subject)
			return nil
		}
	}
	ask("_STAN.discover.tc", (&stanwire.ConnectRequest{ClientID: "me", HeartbeatInbox: "h"}).Append(nil))
	ask("_STAN.sub.tc", (&stanwire.SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: "i", MaxInFlight: 1, AckWaitInSecs: 30, DurableName: "d"}).Append(nil))
	for range 2 {
		ask("_STAN.pub.tc.foo", (&stanwire.PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte("foo"), Data: []byte("m")}).Append(nil))
	}
	s := newSource(r, c)
	st := s.Streaming()
	if open, most := st.Server.OpenFDs, st.Server.MaxFDs; runtime.GOOS == "linux" && (open < 3 || most < open) {
		t.Errorf("%d of %d files open", open, most)
	}
	if st.Server.Clients != 1 || st.Server.Channels != 1 || st.Server.Subscriptions != 1 || st.Server.TotalMsgs != 2 || st.Server.InMsgs != 2 || st.Store.Type != "FILE" {
		t.Errorf("%+v", st.Server)
	}
	if st.Clients[0].ID != "me" || st.Clients[0].SubsCount != 1 || st.Channels[0].LastSeq != 2 || st.Channels[0].FirstSeq != 1 {
		t.Errorf("%+v %+v", st.Clients, st.Channels)
	}
	subs := st.Subs("foo")
	if len(subs) != 1 || !subs[0].IsDurable || subs[0].IsOffline || subs[0].Pending != 1 || !subs[0].IsStalled || subs[0].LastSent != 1 || subs[0].AckWait != 30 {
		t.Errorf("%+v", subs)
	}
	ask("_STAN.close.tc", stanwire.AppendClose(nil, "me"))
	// What is told follows on the stream's own goroutine.
	streamtest.Await(t, "the durable is offline", func() bool {
		subs = s.Streaming().Subs("foo")
		return len(subs) == 1 && subs[0].IsOffline
	})
	if subs[0].Pending != 1 || subs[0].ClientID != "me" || !subs[0].IsStalled {
		t.Errorf("offline: %+v", subs)
	}
	if v := s.Varz(); v == nil {
		t.Error("no /varz")
	}
	if _, err := json.Marshal(s.Streaming().Store); err != nil {
		t.Error(err)
	}
}

// answerTo is a Service that passes on what it gets.
type answerTo chan []byte

func (a answerTo) Handle(r *broker.Request) { a <- r.Data }
