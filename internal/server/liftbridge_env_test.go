package server

import (
	"strings"
	"testing"
)

// TestLiftbridgesVariablesHoldOverItsFile: they are named after the keys, dots and all, which
// need not be in the file. Flags hold over them.
func TestLiftbridgesVariablesHoldOverItsFile(t *testing.T) {
	for name, v := range map[string]string{
		"HOST": "lift.example", "PORT": "4000", "STREAMS.RETENTION.MAX.BYTES": "77", "CLUSTERING.SERVER.ID": "7", "ACTIVITY.STREAM.ENABLED": "true",
		"GROUPS.CONSUMER.TIMEOUT": "3s", "TELEMETRY.ENABLED": "false", "DATA.DIR": "", "LISTEN": "127.0.0.1:4001",
	} {
		t.Setenv("LIFTBRIDGE_"+name, v)
	}
	const file = "host: other\nstreams.retention.max:\n  bytes: 1\n  messages: 5\ndata.dir: here\n"
	c, err := liftConfig(t, "lift.yaml", file)
	if err != nil {
		t.Fatal(err)
	}
	l := &c.Liftbridge
	if l.Host != "lift.example" || l.Port != 4000 || l.Listen != "127.0.0.1" || l.ListenPort != 4001 || l.ServerID != "7" || l.DataDir != "here" {
		t.Errorf("%+v", l)
	}
	if d := &l.Door; d.Defaults.MaxBytes != 77 || d.Defaults.MaxMessages != 5 || !d.Activity || d.ConsumerTimeout.String() != "3s" {
		t.Errorf("%+v", d)
	}
	if len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "environment variable LIFTBRIDGE_TELEMETRY.ENABLED: telemetry.enabled: known, but not honoured") {
		t.Errorf("%q", c.Warnings)
	}
	if c, err = liftConfig(t, "lift.yaml", file, "--server-id", "mine"); err != nil || c.Liftbridge.ServerID != "mine" {
		t.Error(err)
	}
}

// TestLiftbridgesVariablesThatDoNothingAreNamed: those without dots, of which its manual
// speaks, and all where its file is not read. It reads none of them either.
func TestLiftbridgesVariablesThatDoNothingAreNamed(t *testing.T) {
	t.Setenv("LIFTBRIDGE_LOGGING_LEVEL", "debug")
	t.Setenv("LIFTBRIDGE_HOST", "h")
	t.Setenv("LIFTBRIDGE_ACCOUNT", "A")      // a key of ours
	t.Setenv("LIFTBRIDGE_SERVICE_PORT", "1") // nobody's
	for name, want := range map[string][]string{
		"lift.yaml": {"environment variable LIFTBRIDGE_LOGGING_LEVEL: not read: the key logging.level has the variable LIFTBRIDGE_LOGGING.LEVEL"},
		"weir.conf": {
			"environment variable LIFTBRIDGE_HOST: not read without --liftbridge-config",
			"environment variable LIFTBRIDGE_LOGGING_LEVEL: not read without --liftbridge-config",
		},
	} {
		text := "liftbridge { port: 1 }"
		if name == "lift.yaml" {
			text = "port: 1\n"
		}
		c, err := liftConfig(t, name, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Warnings, "\n"); got != strings.Join(want, "\n") || c.Log.Debug {
			t.Errorf("%s: %s", name, got)
		}
	}
	if c, err := liftConfig(t, "weir.conf", "port: 4222"); err != nil || len(c.Warnings) != 0 {
		t.Error("where Liftbridge is off: ", err)
	}
}

// TestAMistakeInAVariableOfLiftbridgesIsToldWithItsName. What Kubernetes puts into the
// environment of a service of that name is none.
func TestAMistakeInAVariableOfLiftbridgesIsToldWithItsName(t *testing.T) {
	t.Setenv("LIFTBRIDGE_PORT", "tcp://10.0.0.1:9292")
	c, err := liftConfig(t, "lift.yaml", "port: 5\n")
	if err != nil || c.Liftbridge.Port != 5 {
		t.Fatal(err)
	}
	if want := "environment variable LIFTBRIDGE_PORT: not read: it is Kubernetes's, for a service named liftbridge"; len(c.Warnings) != 1 || c.Warnings[0] != want {
		t.Errorf("%q", c.Warnings)
	}
	t.Setenv("LIFTBRIDGE_PORT", "many")
	if _, err := liftConfig(t, "lift.yaml", "host: h\n"); err == nil || err.Error() != "environment variable LIFTBRIDGE_PORT: port: must be a whole number" {
		t.Error(err)
	}
}
