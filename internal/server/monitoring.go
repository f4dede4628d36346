package server

import (
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"time"

	natsdoor "github.com/weirmq/weir/internal/door/nats"
	"github.com/weirmq/weir/internal/metrics"
	"github.com/weirmq/weir/internal/monitor"
)

// monitoring is the HTTP server, or nothing where it is off.
type monitoring struct {
	server *monitor.Server
	config *Config
}

func startMonitoring(c *Config, log *slog.Logger) (*monitoring, error) {
	m := &monitoring{config: c}
	if c.HTTP.Port == 0 {
		return m, nil
	}
	addr := net.JoinHostPort(c.HTTP.Host, strconv.Itoa(max(c.HTTP.Port, 0)))
	var err error
	m.server, err = monitor.Listen(addr, c.HTTP.BasePath, log)
	return m, err
}

func (m *monitoring) addr() string {
	if m.server == nil {
		return ""
	}
	return m.server.Addr()
}

func (m *monitoring) attach(r *rooms) {
	if m.server != nil {
		m.server.Attach(newSource(r, m.config))
	}
}

func (m *monitoring) ready() {
	if m.server != nil {
		m.server.Ready()
	}
}

func (m *monitoring) stopping() {
	if m.server != nil {
		m.server.Stopping()
	}
}

func (m *monitoring) close() error {
	if m.server == nil {
		return nil
	}
	return m.server.Close()
}

// source gives the rooms' snapshots to monitoring.
type source struct {
	*rooms
	config *Config
	loaded time.Time
	set    *metrics.Set
}

func newSource(r *rooms, c *Config) *source {
	s := &source{rooms: r, config: c, loaded: time.Now(), set: new(metrics.Set)}
	s.meterClients()
	s.meterLeaf()
	if s.storage != nil {
		s.meterStorage()
	}
	return s
}

// Varz implements monitor.Source.
func (s *source) Varz() *monitor.Varz {
	c, info, t := s.config, s.nats.Info(), s.nats.Totals()
	v := &monitor.Varz{
		ServerID: s.id, ServerName: s.name, Version: NATSVersion, WeirVersion: Version, Proto: 1, Go: runtime.Version(),
		Host: info.Host, Port: info.Port, AuthRequired: c.authenticates(), ConnectURLs: info.ConnectURLs,
		MaxConnections: c.MaxConnections, MaxSubscriptions: c.MaxSubs, PingInterval: c.PingInterval, PingMax: c.PingMax,
		HTTPHost: c.HTTP.Host, HTTPPort: c.HTTP.Port, HTTPBasePath: c.HTTP.BasePath, AuthTimeout: c.Auth.Timeout.Seconds(),
		MaxControlLine: c.MaxControlLine, MaxPayload: c.MaxPayload, MaxPending: c.MaxPending, TLSTimeout: 2,
		WriteDeadline: c.WriteDeadline, Start: s.started.UTC(), Now: time.Now().UTC(), Mem: residentBytes(),
		Cores: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0), MemLimit: memoryLimit(), CPU: s.cpu.percent(),
		Connections: t.Connections, TotalConnections: t.TotalConnections,
		InMsgs: t.InMsgs, InBytes: t.InBytes, InClientMsgs: t.InMsgs, InClientBytes: t.InBytes,
		OutMsgs: t.OutMsgs, OutBytes: t.OutBytes, OutClientMsgs: t.OutMsgs, OutClientBytes: t.OutBytes,
		SlowConsumers: t.SlowPending + t.SlowDeadline, StaleConnections: t.Stale, StalledClients: t.IngestStalls,
		Subscriptions: s.subscriptions(), ConfigLoadTime: s.loaded.UTC(), ConfigDigest: c.Digest, SystemAccount: c.SystemAccount,
	}
	v.SlowStats.Clients, v.StaleStats.Clients = v.SlowConsumers, v.StaleConnections
	v.Leafs = len(s.Leafz())
	if s.streams != nil {
		v.JetStream = monitor.VarzJetStream{Config: s.jsConfig(), Stats: s.jsStats()}
	}
	return v
}

func (s *source) subscriptions() int {
	n := 0
	for _, sp := range s.spaces.All() {
		n += sp.Subscriptions()
	}
	return n
}

// Connz implements monitor.Source.
func (s *source) Connz() *monitor.Connz {
	c := &monitor.Connz{ServerID: s.id, Now: time.Now().UTC(), Conns: []monitor.ConnInfo{}}
	for _, list := range [][]natsdoor.ConnInfo{s.nats.Connections(), s.nats.Closed()} {
		for i := range list {
			c.Conns = append(c.Conns, connInfo(&list[i]))
		}
	}
	c.Subs = func(cid uint64) []monitor.SubDetail {
		var out []monitor.SubDetail
		for _, sub := range s.nats.Subscriptions(cid) {
			out = append(out, monitor.SubDetail{Subject: sub.Subject, Queue: sub.Queue, Sid: sub.SID, Msgs: sub.Delivered, Max: sub.Max})
		}
		return out
	}
	return c
}

func connInfo(i *natsdoor.ConnInfo) monitor.ConnInfo {
	out := monitor.ConnInfo{
		Cid: i.ID, IP: i.IP, Port: i.Port, Start: i.Start.UTC(), LastActivity: i.LastActivity.UTC(), Reason: i.Reason,
		Pending: i.Pending, InMsgs: i.InMsgs, OutMsgs: i.OutMsgs, InBytes: i.InBytes, OutBytes: i.OutBytes,
		NumSubs: i.Subscriptions, Name: i.Name, Lang: i.Lang, Version: i.Version,
		AuthorizedUser: i.User, Account: i.Account, Latency: i.RTT,
	}
	if !i.Stop.IsZero() {
		t := i.Stop.UTC()
		out.Stop = &t
	}
	return out
}

// Accountz implements monitor.Source.
func (s *source) Accountz() *monitor.Accountz {
	a := &monitor.Accountz{ServerID: s.id, Now: time.Now().UTC(), SystemAccount: s.config.SystemAccount, Details: map[string]monitor.AccountDetail{}}
	leafs := map[string]int{}
	for _, l := range s.Leafz() {
		leafs[l.Account]++
	}
	for _, acc := range s.accounts.All() {
		a.Accounts = append(a.Accounts, acc.Name)
		a.Details[acc.Name] = monitor.AccountDetail{
			Name: acc.Name, Updated: s.loaded.UTC(), System: acc.Name == s.config.SystemAccount, Complete: true, JetStream: acc.JetStream.Enabled,
			Clients: acc.Connections(), Leafs: leafs[acc.Name], Subs: s.spaces.Get(acc.Name).Subscriptions(),
		}
	}
	return a
}
