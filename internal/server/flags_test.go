package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serverFlags is nats-server's whole set, with a value for those that take one.
// The ones that start something that is not served must be refused.
const serverFlags = `-a=h --addr=h --net=h -p=1 --port=1 -n=x --name=x --server_name=x -P=f --pid=f -m=1 --http_port=1
-c=f --config=f -t -sl=quit --signal=quit --client_advertise=h:1 --ports_file_dir=d -l=f --log=f -T --logtime --logtime_utc -s --syslog
-r=u --remote_syslog=u -D --debug -V --trace -VV -DV -DVV --log_size_limit=1 --max_traced_msg_len=1 -js --jetstream -sd=d --store_dir=d
--user=u --pass=p --auth=t --routes=r --cluster=u --cluster_listen=u --cluster_name=n --no_advertise --cluster_advertise=h:1
--connect_retries=1 --profile=1 --tls --tlsverify --tlscert=f --tlskey=f --tlscacert=f -h --help -v --version --help_tls version help`

const refusedFlags = `-ms=1 --https_port=1`

func TestEveryFlagOfNATSServerIsKnown(t *testing.T) {
	for arg := range strings.FieldsSeq(serverFlags) {
		if _, err := ParseFlags([]string{arg}); err != nil {
			t.Errorf("%s: %v", arg, err)
		}
	}
	for arg := range strings.FieldsSeq(refusedFlags) {
		if _, err := ParseFlags([]string{arg}); err == nil || !strings.Contains(err.Error(), "not served") {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestFlagsTakeOneDashOrTwoAndAValueBehindOrBeside(t *testing.T) {
	for _, args := range [][]string{{"-p", "5"}, {"--p", "5"}, {"-port=5"}, {"--port=5"}, {"--port", "5"}} {
		f, err := ParseFlags(args)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := f.Load(); err != nil || c.Port != 5 {
			t.Errorf("%q: %+v, %v", args, c, err)
		}
	}
}

func loadWith(t *testing.T, text string, args ...string) (*Config, error) {
	t.Helper()
	if text != "" {
		path := filepath.Join(t.TempDir(), "f.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-c", path)
	}
	f, err := ParseFlags(args)
	if err != nil {
		return nil, err
	}
	return f.Load()
}

func TestAFlagTurnsOffWhatIsOnByDefault(t *testing.T) {
	c, err := loadWith(t, "", "-js=false", "-m", "0")
	if err != nil || c.JetStream.Enabled || c.HTTP.Port != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = loadWith(t, "", "-sd", "d", "-js=false"); err != nil || c.JetStream.Enabled {
		t.Errorf("with a directory: %+v, %v", c, err)
	}
	if c, err = loadWith(t, "jetstream: true, http: 8222", "-js=false", "-m", "0"); err != nil || c.JetStream.Enabled || c.HTTP.Port != 0 {
		t.Errorf("over a file: %+v, %v", c, err)
	}
	if c, err = loadWith(t, "port: 1", "-js"); err != nil || !c.JetStream.Enabled {
		t.Errorf("on, over a file: %+v, %v", c, err)
	}
}

func TestCredentialsOfFlagsReplaceThoseOfTheFile(t *testing.T) {
	for _, file := range []string{"authorization { token: old }", "authorization { user: old, password: old }", "authorization { users: [{user: old, password: old}] }"} {
		c, err := loadWith(t, file, "--auth", "new")
		if err != nil || c.Auth.Token != "new" || c.Auth.User != "" || c.Auth.Users != nil {
			t.Errorf("%s: token: %+v, %v", file, c, err)
		}
		c, err = loadWith(t, file, "--user", "new", "--pass", "secret")
		if err != nil || c.Auth.User != "new" || c.Auth.Password != "secret" || c.Auth.Token != "" || c.Auth.Users != nil {
			t.Errorf("%s: user: %+v, %v", file, c, err)
		}
	}
	for _, args := range [][]string{{"--auth", ""}, {"--user", "", "--pass", "p"}, {"--pass", "p"}} {
		if _, err := loadWith(t, "", args...); err == nil {
			t.Errorf("%q leaves the server open", args)
		}
	}
}

func TestTheConfigurationCanBeTested(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try := func(args ...string) (int, string) {
		var out, err bytes.Buffer
		status := Main(args, &out, &err)
		return status, out.String() + err.String()
	}
	write("port: 1\ncluster { name: x }")
	if status, said := try("-t", "-c", path); status != 0 || !strings.Contains(said, "f.conf is valid (sha256:") || !strings.Contains(said, "f.conf:2: cluster: known, but not honoured") {
		t.Errorf("valid: %d %s", status, said)
	}
	write("prot: 1")
	if status, said := try("-t", "-c", path); status != 1 || !strings.Contains(said, "f.conf:1: prot: unknown key") {
		t.Errorf("invalid: %d %s", status, said)
	}
	if status, said := try("-t"); status != 0 || !strings.Contains(said, "valid") {
		t.Errorf("flags only: %d %s", status, said)
	}
	if status, said := try("-x"); status != 1 || !strings.Contains(said, "-x") {
		t.Errorf("unknown flag: %d %s", status, said)
	}
	if status, said := try("-h"); status != 0 || !strings.Contains(said, "-sd, -store_dir DIR") || !strings.Contains(said, "weir -c weir.conf") {
		t.Errorf("help: %d %s", status, said)
	}
	if status, said := try("-v"); status != 0 || !strings.Contains(said, NATSVersion) {
		t.Errorf("version: %d %s", status, said)
	}
}
