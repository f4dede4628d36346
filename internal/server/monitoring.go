package server

import (
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	natsdoor "github.com/weirmq/weir/internal/door/nats"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/monitor"
	wirejs "github.com/weirmq/weir/internal/wire/jetstream"
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
		m.server.Attach(&source{rooms: r, config: m.config, loaded: time.Now()})
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
}

// Health implements monitor.Source.
func (s *source) Health() error {
	if s.storage == nil {
		return nil
	}
	if err := s.storage.err(); err != nil {
		return err
	}
	for name, err := range s.streams.Broken() {
		return &brokenStream{name, err}
	}
	for _, st := range s.streams.List("") {
		if err := st.Partition().Err(); err != nil {
			return &brokenStream{st.Account() + " " + st.Name(), err}
		}
	}
	return nil
}

// brokenStream says which stream could not be opened.
type brokenStream struct {
	name string
	err  error
}

func (b *brokenStream) Error() string { return "stream " + b.name + " is not open: " + b.err.Error() }
func (b *brokenStream) Unwrap() error { return b.err }

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
		Cores: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0),
		Connections: t.Connections, TotalConnections: t.TotalConnections,
		InMsgs: t.InMsgs, InBytes: t.InBytes, InClientMsgs: t.InMsgs, InClientBytes: t.InBytes,
		OutMsgs: t.OutMsgs, OutBytes: t.OutBytes, OutClientMsgs: t.OutMsgs, OutClientBytes: t.OutBytes,
		SlowConsumers: t.SlowPending + t.SlowDeadline, StaleConnections: t.Stale, StalledClients: t.IngestStalls,
		Subscriptions: s.subscriptions(), ConfigLoadTime: s.loaded.UTC(), ConfigDigest: c.Digest, SystemAccount: c.SystemAccount,
	}
	v.SlowStats.Clients = v.SlowConsumers
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

func (s *source) jsConfig() *monitor.JetStreamConfig {
	js := &s.config.JetStream
	return &monitor.JetStreamConfig{
		MaxMemory: js.MaxMemory, MaxStorage: js.MaxFile, StoreDir: js.StoreDir,
		SyncInterval: js.SyncInterval, SyncAlways: js.SyncInterval == 0, Domain: js.Domain,
	}
}

func (s *source) jsStats() *monitor.JetStreamStats {
	st := &monitor.JetStreamStats{Memory: s.budgets.memory.used.Load(), Storage: s.budgets.disk.used.Load()}
	for _, a := range s.accounts.All() {
		if a.JetStream.Enabled {
			st.Accounts++
		}
	}
	st.API.Level = wirejs.APILevel
	st.API.Total, st.API.Errors = s.js.Stats()
	return st
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

// Subsz implements monitor.Source.
func (s *source) Subsz() *monitor.Subsz {
	n := s.subscriptions()
	return &monitor.Subsz{ServerID: s.id, Now: time.Now().UTC(), NumSubs: n, Total: n}
}

// Accountz implements monitor.Source.
func (s *source) Accountz() *monitor.Accountz {
	a := &monitor.Accountz{ServerID: s.id, Now: time.Now().UTC(), SystemAccount: s.config.SystemAccount, Details: map[string]monitor.AccountDetail{}}
	clients := map[string]int{}
	for _, c := range s.nats.Connections() {
		clients[c.Account]++
	}
	for _, acc := range s.accounts.All() {
		a.Accounts = append(a.Accounts, acc.Name)
		a.Details[acc.Name] = monitor.AccountDetail{
			Name: acc.Name, System: acc.Name == s.config.SystemAccount, Complete: true, JetStream: acc.JetStream.Enabled,
			Clients: clients[acc.Name], Subs: s.spaces.Get(acc.Name).Subscriptions(),
		}
	}
	return a
}

// Jsz implements monitor.Source.
func (s *source) Jsz() *monitor.Jsz {
	j := &monitor.Jsz{ServerID: s.id, Now: time.Now().UTC()}
	if s.streams == nil {
		j.Disabled = true
		return j
	}
	j.Config, j.JetStreamStats = s.jsConfig(), *s.jsStats()
	for _, acc := range s.accounts.All() {
		if !acc.JetStream.Enabled {
			continue
		}
		u := s.streams.Usage(acc.Name)
		ja := monitor.JszAccount{Name: acc.Name, ID: acc.Name, Memory: u.Memory, Storage: u.Storage}
		for _, st := range s.streams.List(acc.Name) {
			p := st.Partition().Status()
			ja.Streams = append(ja.Streams, monitor.JszStream{Name: st.Name(), Created: time.Unix(0, st.Created()).UTC(), State: monitor.JszState{
				Messages: p.Records, Bytes: p.Bytes, FirstSeq: p.First, LastSeq: p.Last, Subjects: p.Subjects, Consumers: len(st.Consumers()),
			}})
			j.Streams++
			j.Consumers += len(st.Consumers())
			j.Messages += p.Records
			j.Bytes += p.Bytes
		}
		j.Accounts = append(j.Accounts, ja)
	}
	j.Total = len(j.Accounts)
	return j
}

// Metrics implements monitor.Meter.
func (s *source) Metrics() []monitor.Metric {
	t := s.nats.Totals()
	out := []monitor.Metric{
		{Name: "weir_connections", Help: "Open client connections.", Value: float64(t.Connections)},
		{Name: "weir_messages_in_total", Help: "Messages that clients published.", Counter: true, Value: float64(t.InMsgs)},
		{Name: "weir_bytes_in_total", Help: "Bytes of messages that clients published.", Counter: true, Value: float64(t.InBytes)},
		{Name: "weir_messages_out_total", Help: "Messages delivered to clients.", Counter: true, Value: float64(t.OutMsgs)},
		{Name: "weir_bytes_out_total", Help: "Bytes of messages delivered to clients.", Counter: true, Value: float64(t.OutBytes)},
		{Name: "weir_slow_consumers_total", Help: "Connections closed because they did not read.", Counter: true, Value: float64(t.SlowPending + t.SlowDeadline)},
		{Name: "weir_service_requests_dropped_total", Help: "Requests to services dropped because too many waited.", Counter: true, Value: float64(s.workers.Dropped())},
	}
	if s.storage == nil {
		return out
	}
	dead := 0.0
	if s.storage.err() != nil {
		dead = 1
	}
	m := &s.storage.journal.Metrics
	out = append(out,
		monitor.Metric{Name: "weir_storage_failed", Help: "1 after a write or sync failed: nothing is stored until a restart.", Value: dead},
		monitor.Metric{Name: "weir_journal_batches_total", Help: "Batches written to the journal.", Counter: true, Value: float64(m.Batches.Load())},
		monitor.Metric{Name: "weir_journal_entries_total", Help: "Entries written to the journal.", Counter: true, Value: float64(m.Entries.Load())},
		monitor.Metric{Name: "weir_journal_bytes_total", Help: "Bytes written to the journal.", Counter: true, Value: float64(m.Bytes.Load())},
		monitor.Metric{Name: "weir_journal_sync_seconds_total", Help: "Time spent in syncs of the journal.", Counter: true, Value: time.Duration(m.SyncNanos.Load()).Seconds()},
		monitor.Metric{Name: "weir_journal_unreleased_bytes", Help: "Bytes of the journal that no checkpoint covers yet.", Value: float64(m.LiveBytes.Load())},
	)
	slower := uint64(0)
	for i := range m.SyncLatency {
		slower += m.SyncLatency[i].Load()
	}
	for i, bound := range journal.SyncBuckets {
		slower -= m.SyncLatency[i].Load()
		out = append(out, monitor.Metric{
			Name: "weir_journal_syncs_slower_total", Help: "Syncs of the journal that took longer than a bound.", Counter: true,
			Value: float64(slower), Labels: map[string]string{"than": bound.String()},
		})
	}
	return out
}

// residentBytes is the memory that the process uses, 0 where it cannot be asked.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
