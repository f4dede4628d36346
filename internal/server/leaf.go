package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	leafdoor "github.com/weirmq/weir/internal/door/leaf"
	"github.com/weirmq/weir/internal/monitor"
	"github.com/weirmq/weir/internal/subject"
)

// LeafConfig are the systems that this server joins as a leaf node.
type LeafConfig struct {
	Remotes       []LeafRemote
	Reconnect     time.Duration // 0: one second
	Dial          time.Duration // 0: one second
	WriteDeadline time.Duration // 0: that of clients
}

// LeafRemote is one of them, and the account that it is bound to.
type LeafRemote struct {
	URLs                        []string
	Account                     string
	Credentials, Seed           string
	TLS                         LeafTLS
	DenyImports, DenyExports    []string
	InOrder, OnlyNamed, Isolate bool
	FirstInfo, Dial             time.Duration
}

// LeafTLS is how a connection to it is secured.
type LeafTLS struct {
	Named                     bool
	CertFile, KeyFile, CAFile string
	Timeout                   time.Duration
	First, Insecure           bool
	MinVersion                uint16
	Suites                    []uint16
	Curves                    []tls.CurveID
}

// defaultDomain is JetStream's domain in a leaf node that has neither a domain nor a
// name that could be one.
const defaultDomain = "weir"

// settleLeaf gives JetStream in a leaf node a domain, as its API does not cross links.
func (c *Config) settleLeaf() {
	if len(c.Leaf.Remotes) == 0 || !c.JetStream.Enabled || c.JetStream.Domain != "" {
		return
	}
	c.JetStream.Domain = defaultDomain
	if n := c.ServerName; subject.ValidLiteral(n) && !strings.ContainsAny(n, ".*>") {
		c.JetStream.Domain = n
	}
	c.Warnings = append(c.Warnings, fmt.Sprintf("leafnodes: a leaf node's JetStream needs a domain of its own: it is %q here, jetstream { domain } names another", c.JetStream.Domain))
}

// checkLeaf holds the settings against the others, and reads the certificates.
func (c *Config) checkLeaf() error {
	registry := c.accountRegistry()
	for i := range c.Leaf.Remotes {
		r := &c.Leaf.Remotes[i]
		if registry.Find(r.Account) == nil {
			return fmt.Errorf("leafnodes.remotes: there is no account %q", r.Account)
		}
		if _, err := r.TLS.config(); err != nil {
			return fmt.Errorf("leafnodes.remotes: %w", err)
		}
	}
	return nil
}

// config reads the files; nil: nothing was said of TLS.
func (t *LeafTLS) config() (*tls.Config, error) {
	if !t.Named {
		return nil, nil
	}
	out := &tls.Config{
		MinVersion: max(t.MinVersion, tls.VersionTLS12), CipherSuites: t.Suites, CurvePreferences: t.Curves, InsecureSkipVerify: t.Insecure,
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate %s: %w", t.CertFile, err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authority: %s has none", t.CAFile)
		}
	}
	return out, nil
}

// buildLeaf makes the door that joins other systems.
func (r *rooms) buildLeaf(c *Config) error {
	if len(c.Leaf.Remotes) == 0 {
		return nil
	}
	o := leafdoor.Options{
		ServerID: r.id, ServerName: r.name, Version: NATSVersion, Domain: c.JetStream.Domain, JetStream: c.JetStream.Enabled,
		SystemAccount: c.SystemAccount, Space: r.space, Reconnect: c.Leaf.Reconnect, PingInterval: c.PingInterval, PingMax: c.PingMax,
		MaxPending: c.MaxPending, WriteDeadline: c.WriteDeadline, Log: r.log,
	}
	if c.Leaf.WriteDeadline > 0 {
		o.WriteDeadline = c.Leaf.WriteDeadline
	}
	if !c.JetStream.Enabled {
		o.Domain = ""
	}
	for i := range c.Leaf.Remotes {
		l := &c.Leaf.Remotes[i]
		secure, err := l.TLS.config()
		if err != nil {
			return fmt.Errorf("leafnodes.remotes: %w", err)
		}
		ro := leafdoor.RemoteOptions{
			URLs: l.URLs, Account: l.Account, Credentials: l.Credentials, Seed: l.Seed, TLS: secure, TLSFirst: l.TLS.First, TLSTimeout: l.TLS.Timeout,
			DenyImports: l.DenyImports, DenyExports: l.DenyExports, InOrder: l.InOrder, OnlyNamed: l.OnlyNamed, Isolate: l.Isolate,
			Dial: l.Dial, FirstInfo: l.FirstInfo,
		}
		if ro.Dial == 0 {
			ro.Dial = c.Leaf.Dial
		}
		o.Remotes = append(o.Remotes, ro)
	}
	var err error
	r.leaf, err = leafdoor.New(o)
	return err
}

// joinOthers begins to connect to the systems that this server is a leaf node of. At the
// end what was sent before goes out.
func (r *rooms) joinOthers() {
	if r.leaf == nil {
		return
	}
	working, leave := context.WithCancel(context.Background())
	r.ended = append(r.ended, leave)
	r.running.Go(func() error { return r.leaf.Run(working) })
}

// Leafz implements monitor.Source.
func (s *source) Leafz() []monitor.LeafInfo {
	out := []monitor.LeafInfo{}
	if s.leaf == nil {
		return out
	}
	for _, l := range s.leaf.Links() {
		i := monitor.LeafInfo{
			ID: l.ID, Name: l.Name, IsSpoke: true, Account: l.Account, IP: l.IP, Port: l.Port, InMsgs: l.InMsgs, OutMsgs: l.OutMsgs,
			InBytes: l.InBytes, OutBytes: l.OutBytes, NumSubs: len(l.Subscriptions), Subs: l.Subscriptions,
		}
		if l.RTT > 0 {
			i.RTT = l.RTT.String()
		}
		out = append(out, i)
	}
	return out
}

// meterLeaf names what the links count.
func (s *source) meterLeaf() {
	if s.leaf == nil {
		return
	}
	total := func(name, help string, of func(t *leafdoor.Totals) uint64) {
		s.set.Counter(name, help, func() uint64 {
			t := s.leaf.Totals()
			return of(&t)
		})
	}
	s.set.Gauge("weir_leaf_remotes", "Systems that this server is to be a leaf node of.", func() float64 { return float64(s.leaf.Remotes()) })
	s.set.Gauge("weir_leaf_links", "Leaf node links that are up.", func() float64 { return float64(s.leaf.Totals().Links) })
	total("weir_leaf_connects_total", "Leaf node links ever made.", func(t *leafdoor.Totals) uint64 { return t.Connects })
	total("weir_leaf_messages_in_total", "Messages that came over leaf node links.", func(t *leafdoor.Totals) uint64 { return t.InMsgs })
	total("weir_leaf_bytes_in_total", "Bytes of messages that came over leaf node links.", func(t *leafdoor.Totals) uint64 { return t.InBytes })
	total("weir_leaf_messages_out_total", "Messages sent over leaf node links.", func(t *leafdoor.Totals) uint64 { return t.OutMsgs })
	total("weir_leaf_bytes_out_total", "Bytes of messages sent over leaf node links.", func(t *leafdoor.Totals) uint64 { return t.OutBytes })
	total("weir_leaf_dropped_total", "Messages not sent over a leaf node link: too much waited, or they were too large for the other side.", func(t *leafdoor.Totals) uint64 { return t.Dropped })
	total("weir_leaf_refused_total", "Messages that came over a leaf node link and were not stored: a stream was over its budget.", func(t *leafdoor.Totals) uint64 { return t.Refused })
}
