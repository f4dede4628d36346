package server

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/account"
)

// Flags are the command line: what was set on it holds over the file.
type Flags struct {
	Config  string
	Test    bool   // -t: check the configuration and end
	Signal  string // -sl
	Help    bool
	Version bool
	// Liftbridge is Liftbridge's own configuration file.
	Liftbridge string
	named      []string // the flags that are there
	set        []func(*Config)
	warnings   []string
}

// flag is one flag with its names; arg says that it takes a value.
type flag struct {
	names string
	arg   string // what the value is, for help; empty: a switch
	help  string
	note  string // known, not honoured
	stan  bool   // the old streaming server's: it turns streaming on
	set   func(f *Flags, v string) error
}

// over makes a setter that changes the configuration.
func over(apply func(c *Config, v string) error) func(*Flags, string) error {
	return func(f *Flags, v string) error {
		if err := apply(defaultConfig(), v); err != nil {
			return err
		}
		f.set = append(f.set, func(c *Config) { _ = apply(c, v) })
		return nil
	}
}

func text(field func(*Config) *string) func(*Flags, string) error {
	return over(func(c *Config, v string) error {
		*field(c) = v
		return nil
	})
}

func number(low, high int, put func(*Config, int)) func(*Flags, string) error {
	return over(func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q is not a number from %d to %d", v, low, high)
		}
		put(c, n)
		return nil
	})
}

func switchOn(put func(*Config, bool)) func(*Flags, string) error {
	return over(func(c *Config, v string) error {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is not true or false", v)
		}
		put(c, on)
		return nil
	})
}

// trace adds the warning that tracing is less than it is elsewhere.
func trace(set func(*Flags, string) error) func(*Flags, string) error {
	return func(f *Flags, v string) error {
		f.warnings = append(f.warnings, "flag -V: known, but not honoured: "+noteTrace)
		return set(f, v)
	}
}

// setUser replaces whoever the file lets in outside of accounts.
func setUser(c *Config, v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	c.Auth.User, c.Auth.Token, c.Auth.Users = v, "", nil
	return nil
}

// setToken does so too.
func setToken(c *Config, v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	c.Auth.Token, c.Auth.User, c.Auth.Password, c.Auth.Users = v, "", "", nil
	return nil
}

// flagTable has the flags of nats-server and our own, by group.
var flagTable = []struct {
	group string
	flags []flag
}{
	{"Server", []flag{
		{names: "a addr net", arg: "HOST", help: "listen on this host (default: loopback while no authentication is configured)", set: over(func(c *Config, v string) error {
			c.Host, c.HostNamed = v, true
			return nil
		})},
		{names: "p port", arg: "PORT", help: "listen on this port for NATS clients (default 4222; -1: a free one)", set: number(-1, 65535, func(c *Config, n int) { c.Port = n })},
		{names: "n name server_name", arg: "NAME", help: "the server's name", set: text(func(c *Config) *string { return &c.ServerName })},
		{names: "P pid", arg: "FILE", help: "write the process id to a file", set: text(func(c *Config) *string { return &c.PidFile })},
		{names: "m http_port", arg: "PORT", help: "serve /healthz, /varz, /connz and /metrics on this port", set: number(-1, 65535, func(c *Config, n int) { c.HTTP.Port, c.HTTP.Named = n, true })},
		{names: "ports_file_dir", arg: "DIR", help: "write a file with the bound ports to a directory", set: text(func(c *Config) *string { return &c.PortsFileDir })},
		{names: "client_advertise", arg: "HOST:PORT", help: "the address that clients are told", set: text(func(c *Config) *string { return &c.ClientAdvertise })},
		{names: "c config", arg: "FILE", help: "read a configuration file (nats-server's language)", set: func(f *Flags, v string) error {
			f.Config = v
			return nil
		}},
		{names: "t", help: "check the configuration and end", set: func(f *Flags, _ string) error {
			f.Test = true
			return nil
		}},
		{names: "sl signal", arg: "CMD[=PID]", help: "send a signal to a server: ldm, stop, quit, term, reopen, reload", set: func(f *Flags, v string) error {
			f.Signal = v
			return nil
		}},
	}},
	{"Streams", []flag{
		{names: "js jetstream", help: "keep streams (on by default where there is no file)", set: switchOn(func(c *Config, on bool) { c.JetStream.Enabled, c.JetStream.Named = on, true })},
		{names: "sd store_dir", arg: "DIR", help: "keep streams in this directory (default ./weir-data)", set: over(func(c *Config, v string) error {
			c.JetStream.StoreDir = v
			if !c.JetStream.Named {
				c.JetStream.Enabled = true
			}
			return nil
		})},
	}},
	{"NATS Streaming", stanFlags},
	{"Liftbridge", liftFlags},
	{"Clients", []flag{
		{names: "user", arg: "USER", help: "clients must log in as this user, not as the file says", set: over(setUser)},
		{names: "pass", arg: "PASSWORD", help: "… with this password, plain or bcrypt", set: text(func(c *Config) *string { return &c.Auth.Password })},
		{names: "auth", arg: "TOKEN", help: "clients must show this token, not what the file says", set: over(setToken)},
	}},
	{"Logging", []flag{
		{names: "l log", arg: "FILE", help: "log to a file instead of standard error", set: text(func(c *Config) *string { return &c.Log.File })},
		{names: "log-format log_format", arg: "text|json", help: "how log lines look", set: over(func(c *Config, v string) error {
			if v != "text" && v != "json" {
				return fmt.Errorf("%q is not text or json", v)
			}
			c.Log.Format = v
			return nil
		})},
		{names: "D debug", help: "log details", set: switchOn(func(c *Config, on bool) { c.Log.Debug = on })},
		{names: "V trace VV", help: "log what clients send (not honoured yet)", set: trace(switchOn(func(c *Config, on bool) { c.Log.Trace = on }))},
		{names: "DV DVV", help: "both", set: trace(switchOn(func(c *Config, on bool) { c.Log.Debug, c.Log.Trace = on, on }))},
		{names: "T logtime", help: "log lines have a time (default; -T=false: none)", set: switchOn(func(c *Config, on bool) { c.Log.NoTime = !on })},
		{names: "logtime_utc", help: "… in UTC", set: switchOn(func(c *Config, on bool) { c.Log.UTC = on })},
		{names: "s syslog", note: noteLogging},
		{names: "r remote_syslog log_size_limit max_traced_msg_len", arg: "VALUE", note: noteLogging},
	}},
	{"Known, not served yet", []flag{
		{names: "tls", help: "secure clients with TLS", set: switchOn(func(c *Config, on bool) { c.TLS.Named = on })},
		{names: "tlsverify", help: "secure clients with TLS and have them show a certificate", set: switchOn(func(c *Config, on bool) {
			c.TLS.Named, c.TLS.Options.Verify = c.TLS.Named || on, on
		})},
		{names: "tlscert", arg: "FILE", help: "the server's certificate", set: over(func(c *Config, v string) error {
			c.flagPair().CertFile = v
			return nil
		})},
		{names: "tlskey", arg: "FILE", help: "its key", set: over(func(c *Config, v string) error {
			c.flagPair().KeyFile = v
			return nil
		})},
		{names: "tlscacert", arg: "FILE", help: "the authorities of clients' certificates", set: text(func(c *Config) *string { return &c.TLS.Options.CAFile })},
		{names: "ms https_port", arg: "PORT", note: noteTLS, set: func(*Flags, string) error { return errors.New(noteTLS) }},
		{names: "routes cluster cluster_listen cluster_name cluster_advertise connect_retries", arg: "VALUE", note: noteCluster},
		{names: "no_advertise", note: noteCluster},
		{names: "profile", arg: "PORT", note: noteLogging},
		{names: "help_tls", note: noteTLS},
	}},
	{"Help", []flag{
		{names: "h help", help: "this text", set: func(f *Flags, _ string) error {
			f.Help = true
			return nil
		}},
		{names: "v version", help: "the version", set: func(f *Flags, _ string) error {
			f.Version = true
			return nil
		}},
	}},
}

func findFlag(name string) *flag {
	for _, g := range flagTable {
		for i := range g.flags {
			for n := range strings.FieldsSeq(g.flags[i].names) {
				if n == name {
					return &g.flags[i]
				}
			}
		}
	}
	return nil
}

// ParseFlags reads a command line as nats-server's users write it: one dash or
// two, values after a space or "=".
func ParseFlags(args []string) (*Flags, error) {
	f := &Flags{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		if name == arg {
			switch arg {
			case "help":
				f.Help = true
				continue
			case "version":
				f.Version = true
				continue
			}
			return nil, fmt.Errorf("unexpected argument %q: see weir serve --help", arg)
		}
		name, v, given := strings.Cut(name, "=")
		fl := findFlag(name)
		if fl == nil {
			return nil, fmt.Errorf("unknown flag %q: see weir serve --help", arg)
		}
		if !given {
			v = "true"
			if fl.arg != "" {
				if len(args) == 0 {
					return nil, fmt.Errorf("flag %s needs a value: %s", arg, fl.arg)
				}
				v, args = args[0], args[1:]
			}
		}
		f.named = append(f.named, name)
		if err := f.take(fl, name, v); err != nil {
			return nil, fmt.Errorf("flag -%s: %w", name, err)
		}
	}
	return f, nil
}

func (f *Flags) take(fl *flag, name, v string) error {
	if fl.set != nil {
		return fl.set(f, v)
	}
	if fl.stan {
		f.set = append(f.set, func(c *Config) { c.Stan.Enabled = true })
	}
	f.warnings = append(f.warnings, fmt.Sprintf("flag -%s: known, but not honoured: %s", name, fl.note))
	return nil
}

// usage is the text of --help.
func usage() string {
	var b strings.Builder
	b.WriteString(`weir serve: run the server

  weir                        on loopback, streams in ./weir-data, HTTP on 8222
  weir -c weir.conf           as a file says
  weir -a 0.0.0.0 --user me --pass secret -sd /var/lib/weir

A file is read in the language of nats-server's files. Flags hold over it.
SIGHUP reads it again, SIGTERM and SIGINT stop, SIGUSR2 lets clients leave first.
`)
	for _, g := range flagTable {
		fmt.Fprintf(&b, "\n%s\n", g.group)
		for _, fl := range g.flags {
			if fl.help == "" && fl.note == "" {
				continue
			}
			names := "-" + strings.Join(strings.Fields(fl.names), ", -")
			if fl.arg != "" {
				names += " " + fl.arg
			}
			help := fl.help
			if help == "" {
				help = fl.note
			}
			fmt.Fprintf(&b, "  %-34s %s\n", names, help)
		}
	}
	return b.String()
}

// Load reads the file that the flags name and puts the flags over it.
func (f *Flags) Load() (*Config, error) {
	c := defaultConfig()
	if f.Config != "" {
		var err error
		if c, err = loadFile(f.Config); err != nil {
			return nil, err
		}
	}
	if f.Liftbridge != "" {
		if err := liftbridgeFile(c, f.Liftbridge); err != nil {
			return nil, err
		}
	}
	for _, set := range f.set {
		set(c)
	}
	if f.Liftbridge == "" && c.Liftbridge.Enabled {
		c.Warnings = append(c.Warnings, liftUnread()...)
	}
	c.Warnings = append(append(c.Warnings, f.warnings...), f.clashes()...)
	c.settle()
	if err := c.check(); err != nil {
		if c.File != "" {
			return nil, fmt.Errorf("%s: %w", filepath.Base(c.File), err)
		}
		return nil, err
	}
	return c, nil
}

// check holds the settings against each other.
func (c *Config) check() error {
	switch {
	case c.Auth.configured && !c.authenticates():
		return errors.New("authorization or users: nobody is named, so that everybody would be let in: name a user or a token, or take the block away")
	case c.Auth.User == "" && c.Auth.Password != "":
		return errors.New("authorization: a password needs a user")
	case c.Auth.Token != "" && (c.Auth.User != "" || len(c.Auth.Users) > 0):
		return errors.New("authorization: a token can not stand beside users")
	case c.Auth.User != "" && len(c.Auth.Users) > 0:
		return errors.New("authorization: a single user can not stand beside a list of users")
	case int64(c.MaxPayload) > c.MaxPending:
		return fmt.Errorf("max_payload (%d) is over max_pending (%d)", c.MaxPayload, c.MaxPending)
	case c.MaxPayload <= 0:
		return errors.New("max_payload must be positive")
	case c.LameDuckGrace >= c.LameDuckDuration:
		return errors.New("lame_duck_grace_period must be shorter than lame_duck_duration")
	case c.Log.Format != "text" && c.Log.Format != "json":
		return fmt.Errorf("log_format %q is not text or json", c.Log.Format)
	}
	if c.ClientAdvertise != "" {
		if _, _, err := net.SplitHostPort(c.ClientAdvertise); err != nil {
			return fmt.Errorf("client_advertise %q is not HOST:PORT", c.ClientAdvertise)
		}
	}
	if err := c.checkStan(); err != nil {
		return err
	}
	if err := c.checkLiftbridge(); err != nil {
		return err
	}
	if err := c.checkLeaf(); err != nil {
		return err
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	accounts := c.accountRegistry()
	if _, err := account.Join(accounts.All()); err != nil {
		return err
	}
	_, err := c.authOptions(accounts)
	return err
}
