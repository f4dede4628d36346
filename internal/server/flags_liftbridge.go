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
	{names: "server-id", arg: "ID", help: "the server's name for Liftbridge's clients", set: liftText(func(l *LiftbridgeConfig) *string { return &l.ServerID })},
	{names: "namespace", arg: "NAME", help: "begin Liftbridge's own subjects with this", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Door.Namespace })},
	{names: "data-dir", arg: "DIR", help: "keep streams in this directory", set: liftText(func(l *LiftbridgeConfig) *string { return &l.DataDir })},
	{names: "tls-cert", arg: "FILE", help: "encrypt Liftbridge's connections with this certificate", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Cert })},
	{names: "tls-key", arg: "FILE", help: "… and its key", set: liftText(func(l *LiftbridgeConfig) *string { return &l.Key })},
	{names: "embedded-nats raft-bootstrap-seed", note: noteLiftNATS},
	{names: "nats-servers embedded-nats-config raft-bootstrap-peers", arg: "VALUE", note: noteLiftNATS},
}
