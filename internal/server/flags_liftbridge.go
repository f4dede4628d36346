package server

import (
	"errors"
	"fmt"
	"strconv"
)

// liftFlag makes a setter that turns Liftbridge on.
func liftFlag(set func(c *Config, v string) error) func(*Flags, string) error {
	return over(func(c *Config, v string) error {
		c.Liftbridge.Enabled = true
		return set(c, v)
	})
}

func liftText(field func(*LiftbridgeConfig) *string) func(*Flags, string) error {
	return liftFlag(func(c *Config, v string) error {
		if v == "" {
			return errors.New("must not be empty")
		}
		*field(&c.Liftbridge) = v
		return nil
	})
}

// liftFlags are those of Liftbridge whose names are not NATS's already.
var liftFlags = []flag{
	{names: "liftbridge", help: "serve Liftbridge's clients, too", set: over(func(c *Config, v string) (err error) {
		c.Liftbridge.Enabled, err = strconv.ParseBool(v)
		return err
	})},
	{names: "liftbridge-config liftbridge_config", arg: "FILE", help: "… as Liftbridge's own file says", set: func(f *Flags, v string) error {
		f.Liftbridge = v
		return nil
	}},
	{names: "liftbridge-port liftbridge_port", arg: "PORT", help: "… on this port (default 9292; 0: a free one)", set: liftFlag(func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q is not a number from 0 to 65535", v)
		}
		c.Liftbridge.ListenPort, c.Liftbridge.Port = n, 0
		return nil
	})},
	{names: "server-id id", arg: "ID", help: "the server's name for Liftbridge's clients", set: liftText(func(l *LiftbridgeConfig) *string { return &l.ServerID })},
	{names: "namespace", arg: "NAME", help: "begin Liftbridge's own subjects with this", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Door.Namespace })},
	{names: "data-dir d", arg: "DIR", help: "keep streams in this directory", set: liftText(func(l *LiftbridgeConfig) *string { return &l.DataDir })},
	{names: "tls-cert", arg: "FILE", help: "encrypt Liftbridge's connections with this certificate", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Cert })},
	{names: "tls-key", arg: "FILE", help: "… and its key", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Key })},
	{names: "level", arg: "LEVEL", help: "debug logs details; info, warn and error do not", set: liftLevel},
	{names: "embedded-nats e raft-bootstrap-seed", note: noteLiftNATS},
	{names: "nats-servers embedded-nats-config nc raft-bootstrap-peers", arg: "VALUE", note: noteLiftNATS},
}

// liftLevel is setLiftLevel for the command line.
func liftLevel(f *Flags, v string) error {
	switch v {
	case "debug", "info":
	case "warn", "error":
		f.warnings = append(f.warnings, "flag -level: known, but not honoured: "+noteLiftLevel)
	default:
		return errors.New("must be debug, info, warn or error")
	}
	f.set = append(f.set, func(c *Config) { c.Log.Debug = v == "debug" })
	return nil
}

// liftClashes are flags of Liftbridge that mean something else here, and what to write
// instead.
var liftClashes = map[string]string{
	"p": "the port for NATS clients; Liftbridge's is --liftbridge-port", "port": "the port for NATS clients; Liftbridge's is --liftbridge-port",
	"n": "the server's name; Liftbridge's -n is --nats-servers", "l": "the file for the log; Liftbridge's -l is --level",
	"c": "a file in nats-server's language; Liftbridge's is --liftbridge-config", "config": "a file in nats-server's language; Liftbridge's is --liftbridge-config",
	"ns": "NATS Streaming's; Liftbridge's --ns is --namespace",
}

// clashes warns of flags that Liftbridge's users may mean otherwise, beside Liftbridge's file.
func (f *Flags) clashes() (warnings []string) {
	if f.Liftbridge == "" {
		return nil
	}
	for _, name := range f.named {
		if what, ok := liftClashes[name]; ok {
			warnings = append(warnings, fmt.Sprintf("flag -%s is %s", name, what))
		}
	}
	return warnings
}
