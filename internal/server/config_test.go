package server

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream"
)

// loadText reads a configuration from a file of its own.
func loadText(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &Flags{Config: path}
	return f.Load()
}

func TestEachKeySetsWhatItNames(t *testing.T) {
	for text, c := range map[string]struct {
		of   func(c *Config) any
		want any
	}{
		`listen: "10.0.0.1:5222"`:                       {func(c *Config) any { return c.Host + " " + strconv.Itoa(c.Port) }, "10.0.0.1 5222"},
		`listen: 5222`:                                  {func(c *Config) any { return c.Host + " " + strconv.Itoa(c.Port) }, "127.0.0.1 5222"},
		`listen: "[::1]:5222"`:                          {func(c *Config) any { return c.Host }, "::1"},
		`host: "10.0.0.1"`:                              {func(c *Config) any { return c.HostNamed }, true},
		`net: "10.0.0.1"`:                               {func(c *Config) any { return c.Host }, "10.0.0.1"},
		`port: -1`:                                      {func(c *Config) any { return c.Port }, -1},
		`client_advertise: "a:1"`:                       {func(c *Config) any { return c.ClientAdvertise }, "a:1"},
		`server_name: n`:                                {func(c *Config) any { return c.ServerName }, "n"},
		`debug: true`:                                   {func(c *Config) any { return c.Log.Debug }, true},
		`trace: false`:                                  {func(c *Config) any { return c.Log.Trace }, false},
		`logtime: false`:                                {func(c *Config) any { return c.Log.NoTime }, true},
		`logtime_utc: true`:                             {func(c *Config) any { return c.Log.UTC }, true},
		`logfile: "l"`:                                  {func(c *Config) any { return c.Log.File }, "l"},
		`log_format: json`:                              {func(c *Config) any { return c.Log.Format }, "json"},
		`pid_file: "p"`:                                 {func(c *Config) any { return c.PidFile }, "p"},
		`ports_file_dir: "d"`:                           {func(c *Config) any { return c.PortsFileDir }, "d"},
		`http: "127.0.0.1:8333"`:                        {func(c *Config) any { return c.HTTP.Port }, 8333},
		`monitor_port: 8333`:                            {func(c *Config) any { return c.HTTP.Port }, 8333},
		`http_base_path: "/x"`:                          {func(c *Config) any { return c.HTTP.BasePath }, "/x"},
		`max_control_line: 2048`:                        {func(c *Config) any { return c.MaxControlLine }, 2048},
		`max_payload: 2MB`:                              {func(c *Config) any { return c.MaxPayload }, 2 << 20},
		`max_pending: "128MB"`:                          {func(c *Config) any { return c.MaxPending }, int64(128 << 20)},
		`max_connections: 7`:                            {func(c *Config) any { return c.MaxConnections }, 7},
		`max_conn: 0`:                                   {func(c *Config) any { return c.MaxConnections }, -1},
		`max_subs: 9`:                                   {func(c *Config) any { return c.MaxSubs }, 9},
		`max_sub_tokens: 3`:                             {func(c *Config) any { return c.MaxSubTokens }, 3},
		`max_closed_clients: 5`:                         {func(c *Config) any { return c.MaxClosed }, 5},
		`ping_interval: "5s"`:                           {func(c *Config) any { return c.PingInterval }, 5 * time.Second},
		`ping_interval: 5`:                              {func(c *Config) any { return c.PingInterval }, 5 * time.Second},
		`ping_max: 4`:                                   {func(c *Config) any { return c.PingMax }, 4},
		`write_deadline: "3s"`:                          {func(c *Config) any { return c.WriteDeadline }, 3 * time.Second},
		`lame_duck_duration: "1m"`:                      {func(c *Config) any { return c.LameDuckDuration }, time.Minute},
		`lame_duck_grace_period: "1s"`:                  {func(c *Config) any { return c.LameDuckGrace }, time.Second},
		`no_header_support: true`:                       {func(c *Config) any { return c.NoHeaderSupport }, true},
		`authorization { user: u, password: p }`:        {func(c *Config) any { return c.Auth.User + c.Auth.Password }, "up"},
		`authorization { token: t, timeout: 1.5 }`:      {func(c *Config) any { return c.Auth.Timeout }, 1500 * time.Millisecond},
		`authorization { users: [{user: u, pass: p}] }`: {func(c *Config) any { return c.Auth.Users[0].Name }, "u"},
		`accounts { A { users: [{user: u, password: p}] } }`: {func(c *Config) any { return c.Accounts[0].Users[0].Password }, "p"},
		`no_system_account: true`:                            {func(c *Config) any { return c.NoSystem }, true},
		`system_account: S, accounts { S {} }`:               {func(c *Config) any { return c.SystemAccount }, "S"},
		`jetstream: true`:                                    {func(c *Config) any { return c.JetStream.Enabled }, true},
		`jetstream: disabled`:                                {func(c *Config) any { return c.JetStream.Enabled }, false},
		`jetstream {}, store_dir: "d"`:                       {func(c *Config) any { return c.JetStream.StoreDir }, "d"},
		`jetstream { store_dir: "d" }`:                       {func(c *Config) any { return c.JetStream.StoreDir }, "d"},
		`jetstream { max_mem: 1GB }`:                         {func(c *Config) any { return c.JetStream.MaxMemory }, int64(1 << 30)},
		`jetstream { max_file: 0 }`:                          {func(c *Config) any { return c.JetStream.MaxFile }, int64(-1)},
		`jetstream { domain: d }`:                            {func(c *Config) any { return c.JetStream.Domain }, "d"},
		`jetstream { sync_interval: always }`:                {func(c *Config) any { return c.JetStream.SyncInterval }, time.Duration(0)},
		`jetstream { strict: false }`:                        {func(c *Config) any { return c.JetStream.Strict }, false},
		`jetstream { limits { max_request_batch: 5 } }`:      {func(c *Config) any { return c.JetStream.MaxRequestBatch }, 5},
		`jetstream { limits { max_ack_pending: 6 } }`:        {func(c *Config) any { return c.JetStream.MaxAckPending }, 6},
		`jetstream { limits { max_batch_inflight_per_stream: 7, max_batch_inflight_total: 8, max_batch_size: 9, max_batch_timeout: "3s" } }`: {
			func(c *Config) any { return c.JetStream.Batches }, stream.BatchLimits{PerStream: 7, Total: 8, Size: 9, Idle: 3 * time.Second},
		},
		`jetstream { limits { duplicate_window: "1m" } }`: {func(c *Config) any { return c.JetStream.DuplicateWindow }, time.Minute},
	} {
		got, err := loadText(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v := c.of(got); !reflect.DeepEqual(v, c.want) || len(got.Warnings) > 0 {
			t.Errorf("%s: %v, want %v; warnings %q", text, v, c.want, got.Warnings)
		}
	}
}

func TestAnUnknownKeyIsAnErrorThatNamesItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"port: 1\nprot: 2":                                "test.conf:2: prot: unknown key",
		"jetstream {\n  stor_dir: x\n}":                   "test.conf:2: jetstream.stor_dir: unknown key",
		"accounts {\n A {\n  user: x\n }\n}":              "test.conf:3: accounts.A.user: unknown key",
		"authorization {\n users: [ {user: u, pas: p} ]}": "authorization.users.0.pas: unknown key",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := loadText(t, "foo: 1\nbar: 2"); err == nil || !strings.Contains(err.Error(), "foo") || !strings.Contains(err.Error(), "bar") {
		t.Errorf("not all errors are told: %v", err)
	}
}

func TestWhatIsNotHonouredIsAWarningThatNamesItsPlace(t *testing.T) {
	for prefix, keys := range map[string]block{"": topKeys, "jetstream.": jetStreamKeys, "authorization.": authKeys} {
		for _, r := range keys {
			if r.set != nil {
				continue
			}
			for name := range strings.FieldsSeq(r.names) {
				text, line := name+": 1", "1"
				if prefix != "" {
					text, line = strings.TrimSuffix(prefix, ".")+" {\n"+text+"\n}", "2"
				}
				if prefix == "authorization." {
					text = strings.Replace(text, "}", "token: t }", 1)
				}
				c, err := loadText(t, text)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				if want := "test.conf:" + line + ": " + prefix + name + ": known, but not honoured"; len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], want) {
					t.Errorf("%s: warnings %q, want %q", text, c.Warnings, want)
				}
			}
		}
	}
}

func TestAServerDoesNotStartWithoutTheProtectionThatIsConfigured(t *testing.T) {
	for _, text := range []string{
		`tls { cert_file: "x" }`, `operator: "x"`, `https: 8443`, `jetstream { prev_key: "x" }`,
		`authorization { users: [{nkey: "x"}] }`, `authorization { auth_callout {} }`,
		`authorization { token: t, user: u }`, `max_payload: 0`, `log_format: xml`,
		`lame_duck_duration: "1s"`, `port: 70000`, `ping_interval: "x"`, `max_pending: "much"`, `no_auth_user: nobody`,
		`authorization { users: [{user: u, permissions {publish: "a..b"}}] }`,
	} {
		if _, err := loadText(t, text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// TestUsualFilesLoadWithoutAWarning has files as they are used in practice.
func TestUsualFilesLoadWithoutAWarning(t *testing.T) {
	for name, text := range map[string]string{
		"five accounts": `
server_name: S1
host: 127.0.0.1
port: 4222
client_advertise: "127.0.0.1:4222"
jetstream {
  store_dir: "data"
}
system_account: "$SYS"
no_auth_user: user1
accounts {
  account1 { jetstream: enabled, users: [ {user: user1, password: "pass1"} ] }
  account2 { jetstream: enabled, users: [ {user: user2, password: "pass2"} ] }
  $SYS { users: [ {user: sys, password: "sys"} ] }
}
`,
		"with streams": `
listen: "127.0.0.1:4222"
server_name: "wload"
jetstream {
  store_dir: "data"
  sync_interval: "always"
  max_memory_store: 1GB
  max_file_store: 40GB
}
`,
	} {
		c, err := loadText(t, text)
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q", name, err, c.Warnings)
		}
	}
}

func TestRelaxedSyncsAreAWarning(t *testing.T) {
	c, err := loadText(t, "jetstream { sync_interval: \"2m\" }")
	if err != nil || len(c.Warnings) != 1 || c.JetStream.SyncInterval != 2*time.Minute {
		t.Fatalf("%v, %v", c, err)
	}
}

func TestFlagsHoldOverTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(path, []byte("port: 1111\nserver_name: f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := ParseFlags([]string{"-c", path, "--port=2222", "-sd", "d", "-DV", "--user", "u", "--pass", "p", "-m", "8333", "-T=false", "-s"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 2222 || c.ServerName != "f" || !c.JetStream.Enabled || c.JetStream.StoreDir != "d" || !c.Log.Debug || !c.Log.Trace || c.Auth.User != "u" || c.HTTP.Port != 8333 {
		t.Errorf("configuration %+v", c)
	}
	if !c.Log.NoTime || len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "-V") || !strings.Contains(c.Warnings[1], "-s") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestBadFlagsAreNamed(t *testing.T) {
	for _, args := range [][]string{{"-x"}, {"-p"}, {"-p", "x"}, {"-p", "70000"}, {"word"}, {"-log-format", "xml"}, {"-js=maybe"}} {
		if _, err := ParseFlags(args); err == nil || !strings.Contains(err.Error(), args[0]) && !strings.Contains(err.Error(), strings.TrimLeft(strings.SplitN(args[0], "=", 2)[0], "-")) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := (&Flags{Config: filepath.Join(t.TempDir(), "no.conf")}).Load(); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestWithoutAFileStreamsAreOnAndOnlyLoopbackListens(t *testing.T) {
	c, err := (&Flags{}).Load()
	if err != nil || !c.JetStream.Enabled || c.Host != loopback || c.HTTP.Port != defaultHTTPPort {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = loadText(t, "port: 1"); err != nil || c.JetStream.Enabled || c.HTTP.Port != 0 {
		t.Fatalf("with a file: %+v, %v", c, err)
	}
	if c, err = loadText(t, "authorization { token: t }"); err != nil || c.Host != anywhere {
		t.Fatalf("with authentication: %+v, %v", c, err)
	}
}

func TestAReloadRefusesWhatNeedsARestart(t *testing.T) {
	for _, f := range []struct{ key, text string }{
		{"port", "port: 5"}, {"server_name", "server_name: x"}, {"jetstream", "jetstream: true"}, {"http", "http: 8333"},
		{"max_pending", "max_pending: 128MB"}, {"system_account", "system_account: S, accounts { S {} }"},
	} {
		old, err := loadText(t, "")
		if err != nil {
			t.Fatal(err)
		}
		next, err := loadText(t, f.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := refuseReload(old, next); err == nil || !strings.Contains(err.Error(), f.key) {
			t.Errorf("%s: %v", f.text, err)
		}
	}
	old, _ := loadText(t, "")
	next, err := loadText(t, "debug: true, max_payload: 2MB, ping_interval: 3")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := refuseReload(old, next)
	if err != nil || !slices.Equal(changed, []string{"max_payload", "ping_interval", "debug"}) {
		t.Errorf("what may change: %q, %v", changed, err)
	}
}
