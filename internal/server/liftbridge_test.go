package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// liftConfig loads a file in our own language, or in Liftbridge's.
func liftConfig(t *testing.T, name, text string, more ...string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flag := "-c"
	if strings.HasSuffix(name, ".yaml") {
		flag = "--liftbridge-config"
	}
	f, err := ParseFlags(append([]string{flag, file}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return f.Load()
}

func TestLiftbridgeIsOffUnlessConfigured(t *testing.T) {
	for _, text := range []string{"port: 4222", "liftbridge: false"} {
		if c, err := liftConfig(t, "weir.conf", text); err != nil || c.Liftbridge.Enabled {
			t.Error(text, err)
		}
	}
	if c := defaultConfig(); c.Liftbridge.Enabled || c.stores() {
		t.Error("it is on by default")
	}
}

func TestLiftbridgesKeysReadTheSameInBothFiles(t *testing.T) {
	for name, text := range map[string]string{
		"weir.conf": `liftbridge {
			listen: "127.0.0.1:9999"
			host: lift.example
			streams.retention.max { age: "24h", bytes: 1000 }
			streams { compact.enabled: true, auto.pause.time: "1m" }
			clustering { namespace: ns, server.id: me, replication.max.bytes: 4096 }
			cursors.stream.partitions: 7
			groups.consumer.timeout: "3s"
			activity.stream.enabled: true
			telemetry.enabled: true
			batch.max.messages: 10
		}`,
		"lift.yaml": `
listen: 127.0.0.1:9999
host: lift.example
streams.retention.max:
  age: 24h
  bytes: 1000
streams:
  compact.enabled: true
  auto.pause.time: 1m
clustering:
  namespace: ns
  server.id: me
  replication.max.bytes: 4096
cursors.stream.partitions: 7
groups.consumer.timeout: 3s
activity.stream.enabled: true
telemetry.enabled: true
batch: {max.messages: 10}
`,
	} {
		c, err := liftConfig(t, name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l := &c.Liftbridge
		d := &l.Door.Defaults
		if !l.Enabled || !c.stores() || l.Listen != "127.0.0.1" || l.ListenPort != 9999 || l.Host != "lift.example" || l.ServerID != "me" {
			t.Errorf("%s: %+v", name, l)
		}
		if d.MaxAge != 24*time.Hour || d.MaxBytes != 1000 || !d.Compact || d.AutoPause != time.Minute {
			t.Errorf("%s: %+v", name, d)
		}
		if o := &l.Door; o.Namespace != "ns" || o.MaxMessage != 4096 || o.Cursors != 7 || o.ConsumerTimeout != 3*time.Second || !o.Activity {
			t.Errorf("%s: %+v", name, o)
		}
		warned := strings.Join(c.Warnings, "\n")
		if len(c.Warnings) != 2 || !strings.Contains(warned, "telemetry.enabled") || !strings.Contains(warned, "batch.max.messages") {
			t.Errorf("%s: warnings %q", name, c.Warnings)
		}
	}
}

// TestWhatLiftbridgesOwnServerMisreadsMeansWhatItSays: an address that is a port alone, an
// embedded NATS server that is turned off, and a setting that Liftbridge does not honour.
func TestWhatLiftbridgesOwnServerMisreadsMeansWhatItSays(t *testing.T) {
	c, err := liftConfig(t, "lift.yaml", "listen: 29293\nnats.embedded: false\nstreams.concurrency.control: true\n")
	if err != nil || c.Liftbridge.ListenPort != 29293 || c.Liftbridge.Listen != "" {
		t.Fatal(err, c)
	}
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], noteLiftNATS) || !strings.Contains(c.Warnings[1], noteLiftOCC) {
		t.Errorf("%q", c.Warnings)
	}
}

func TestLiftbridgesMistakesAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lift.yaml", "host: x\nnope: 1\n", "lift.yaml:2: nope: unknown key"},
		{"lift.yaml", "streams:\n  retention.max.age: soon\n", "lift.yaml:2: streams.retention.max.age: must be a duration"},
		{"lift.yaml", "a: &x 1\nb: *x\n", "references are not supported"},
		{"lift.yaml", "- 1\n", "it holds no settings"},
		{"lift.yaml", "\t{", "not YAML"},
		{"weir.conf", "liftbridge { clustering.namespace: \"a b\" }", "must have neither spaces nor dots"},
		{"weir.conf", "liftbridge { tls.client.authz.enabled: true }", "tls.client.authz.enabled needs tls.client.auth.enabled"},
		{"weir.conf", "liftbridge { tls.cert: a }", "tls.cert and tls.key go together"},
		{"weir.conf", "liftbridge { tls.client.auth.enabled: true }", "needs tls.cert and tls.key"},
		{"weir.conf", "liftbridge { account: NOBODY }", `there is no account "NOBODY"`},
		{"weir.conf", "liftbridge { clustering.min.insync.replicas: 2 }", "must be from 0 to 1"},
	} {
		if _, err := liftConfig(t, c.name, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.text, err, c.want)
		}
	}
}

func TestLiftbridgesEncryptionKeyEncryptsTheStore(t *testing.T) {
	for key, usable := range map[string]bool{"": false, "short": false, "0123456789abcdef": true, strings.Repeat("k", 32): true} {
		t.Setenv(liftbridgeKeyEnv, key)
		c, err := liftConfig(t, "lift.yaml", "port: 9292")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Liftbridge.Door.Encryption == nil; got != usable || (c.JetStream.Encryption.Key != "") != usable {
			t.Errorf("key of %d bytes: usable %v: %v", len(key), got, c.Liftbridge.Door.Encryption)
		}
		if _, err := liftConfig(t, "lift.yaml", "streams.encryption: true"); (err == nil) != usable {
			t.Errorf("key of %d bytes, streams.encryption: %v", len(key), err)
		}
	}
	t.Setenv(liftbridgeKeyEnv, "0123456789abcdef")
	if c, err := liftConfig(t, "weir.conf", "jetstream { key: mine }\nliftbridge: true"); err != nil || c.JetStream.Encryption.Key != "mine" {
		t.Error(err)
	}
	if c, err := liftConfig(t, "weir.conf", "port: 4222"); err != nil || c.JetStream.Encryption.Key != "" {
		t.Error("the key counts where Liftbridge is off: ", err)
	}
}

func TestLiftbridgesFlagsHoldOverItsFile(t *testing.T) {
	c, err := liftConfig(t, "lift.yaml", "port: 1\nclustering.server.id: a\n", "--liftbridge-port", "7", "--server-id=b", "--raft-bootstrap-seed", "--data-dir", "d")
	if err != nil || c.Liftbridge.ListenPort != 7 || c.Liftbridge.ServerID != "b" || c.JetStream.StoreDir != "d" || len(c.Warnings) != 1 {
		t.Fatal(err, c)
	}
	if _, err := ParseFlags([]string{"--liftbridge-port", "x"}); err == nil {
		t.Error("a port that is none is accepted")
	}
	if _, err := ParseFlags([]string{"--level", "loud"}); err == nil {
		t.Error("a level that is none is accepted")
	}
	c, err = liftConfig(t, "lift.yaml", "logging.level: info\n", "--level", "debug", "--id", "i", "-d", "dir", "--ns=n", "-p", "4333", "-e", "--nc", "f")
	if err != nil || !c.Log.Debug || c.Liftbridge.ServerID != "i" || c.JetStream.StoreDir != "dir" || c.Port != 4333 || len(c.Warnings) != 4 {
		t.Fatal(err, c.Warnings)
	}
	for i, want := range []string{"-e: known", "-nc: known", "-ns is NATS Streaming's; Liftbridge's --ns is --namespace", "Liftbridge's is --liftbridge-port"} {
		if !strings.Contains(c.Warnings[i], want) {
			t.Errorf("%q lacks %q", c.Warnings[i], want)
		}
	}
}
