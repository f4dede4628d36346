package server

import (
	"context"
	"errors"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/monitor"
	"github.com/weirmq/weir/internal/stream"
	wirejs "github.com/weirmq/weir/internal/wire/jetstream"
)

// Health implements monitor.Source.
func (s *source) Health(q monitor.HealthQuery) []monitor.HealthProblem {
	if s.storage == nil {
		if q.Account != "" {
			return []monitor.HealthProblem{{Kind: monitor.JetStreamProblem, Text: "JetStream is not enabled", Account: q.Account, Missing: true}}
		}
		return nil
	}
	if err := errors.Join(s.storage.err(), s.storage.fullErr()); err != nil {
		return []monitor.HealthProblem{{Kind: monitor.JetStreamProblem, Text: err.Error()}}
	}
	switch {
	case q.Account != "":
		return s.healthOf(q)
	case q.Server:
		return nil
	}
	var found []monitor.HealthProblem
	for name, err := range s.streams.Broken() {
		found = append(found, monitor.HealthProblem{Kind: monitor.StreamProblem, Stream: name, Text: "stream " + name + " is not open: " + err.Error()})
	}
	for _, st := range s.streams.List("") {
		found = append(found, streamHealth(st)...)
		if s.accounts.Find(st.Account()) == nil {
			found = append(found, monitor.HealthProblem{
				Kind: monitor.StreamProblem, Account: st.Account(), Stream: st.Name(),
				Text: "stream " + st.Name() + " is kept, but nobody reaches it: account " + st.Account() + " is not configured",
			})
		}
	}
	return found
}

// healthOf looks at what the query names.
func (s *source) healthOf(q monitor.HealthQuery) []monitor.HealthProblem {
	missing := func(kind monitor.ProblemKind, text string) []monitor.HealthProblem {
		return []monitor.HealthProblem{{Kind: kind, Account: q.Account, Stream: q.Stream, Consumer: q.Consumer, Text: text, Missing: true}}
	}
	if s.accounts.Find(q.Account) == nil {
		return missing(monitor.AccountProblem, "account "+q.Account+" not found")
	}
	if q.Stream == "" {
		var found []monitor.HealthProblem
		for _, st := range s.streams.List(q.Account) {
			found = append(found, streamHealth(st)...)
		}
		return found
	}
	st := s.streams.Find(q.Account, q.Stream)
	if st == nil {
		return missing(monitor.StreamProblem, "stream "+q.Stream+" not found")
	}
	if q.Consumer != "" && st.Consumer(q.Consumer) == nil {
		return missing(monitor.ConsumerProblem, "consumer "+q.Consumer+" not found")
	}
	return streamHealth(st)
}

func streamHealth(st *stream.Stream) []monitor.HealthProblem {
	err := st.Partition().Err()
	if err == nil {
		return nil
	}
	return []monitor.HealthProblem{{
		Kind: monitor.StreamProblem, Account: st.Account(), Stream: st.Name(),
		Text: "stream " + st.Account() + " " + st.Name() + " has failed: " + err.Error(),
	}}
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
	if s.js != nil {
		st.API.Total, st.API.Errors = s.js.Stats()
	}
	return st
}

// detailsTime bounds the time that one answer may take to ask for details.
const detailsTime = 5 * time.Second

// Jsz implements monitor.Source.
func (s *source) Jsz(q *monitor.JszQuery) *monitor.Jsz {
	j := &monitor.Jsz{ServerID: s.id, Now: time.Now().UTC()}
	if s.js == nil {
		j.Disabled = true
		return j
	}
	ctx, cancel := context.WithTimeout(context.Background(), detailsTime)
	defer cancel()
	j.Config, j.JetStreamStats = s.jsConfig(), *s.jsStats()
	d := &details{ctx: ctx, q: q}
	for _, acc := range s.accounts.All() {
		if !acc.JetStream.Enabled {
			continue
		}
		j.Total++
		list := s.streams.List(acc.Name)
		for _, st := range list {
			p := st.Partition().Status()
			j.Streams++
			j.Consumers += st.ConsumerCount()
			j.Messages += p.Records
			j.Bytes += p.Bytes
		}
		if q.Accounts && (q.Account == "" || q.Account == acc.Name) {
			j.Accounts = append(j.Accounts, s.jszAccount(acc, list, d))
		}
	}
	return j
}

func (s *source) jszAccount(acc *account.Account, list []*stream.Stream, d *details) monitor.JszAccount {
	u := s.streams.Usage(acc.Name)
	a := monitor.JszAccount{Name: acc.Name, ID: acc.Name}
	a.Memory, a.Storage = u.Memory, u.Storage
	a.API.Level = wirejs.APILevel
	for _, st := range list {
		if d.q.Streams && d.take(&d.streams) {
			a.Streams = append(a.Streams, d.stream(st))
		}
	}
	return a
}

// details gathers what a query wants to know of streams and consumers.
type details struct {
	ctx                context.Context
	q                  *monitor.JszQuery
	streams, consumers int
}

// take counts one more, unless there are as many as the query wants.
func (d *details) take(n *int) bool {
	if d.q.Most > 0 && *n >= d.q.Most {
		return false
	}
	*n++
	return true
}

func (d *details) stream(st *stream.Stream) monitor.JszStream {
	p, consumers := st.Partition(), st.Consumers()
	now := p.Status()
	out := monitor.JszStream{Name: st.Name(), Created: at(st.Created()), State: monitor.JszState{
		Messages: now.Records, Bytes: now.Bytes, FirstSeq: now.First, LastSeq: now.Last, LastTime: at(now.LastTime),
		Subjects: now.Subjects, Deleted: int(now.Deleted), Consumers: len(consumers),
	}}
	if now.Records > 0 && d.q.Most == 0 {
		if v, err := p.NextOf("", now.First); err == nil {
			out.State.FirstSeq, out.State.FirstTime = v.Seq, at(v.Time)
		}
	}
	if d.q.Config {
		out.Config = st.Config().Doc
	}
	for _, c := range consumers {
		if !d.q.Consumer || !d.take(&d.consumers) {
			break
		}
		if i, err := c.Info(d.ctx); err == nil { // else it was deleted just now
			out.Consumers = append(out.Consumers, d.consumer(c, &i))
		}
	}
	return out
}

func (d *details) consumer(c *stream.Consumer, i *stream.ConsumerInfo) monitor.JszConsumer {
	out := monitor.JszConsumer{
		Stream: c.Stream().Name(), Name: c.Name(), Created: at(c.Created()),
		Delivered: position(i.Delivered, i.LastDelivered), AckFloor: position(i.Floor, i.LastAcked),
		AckPending: i.AckPending, Redelivered: i.Redelivered, Waiting: i.Waiting, Pending: i.Pending, Now: time.Now().UTC(),
	}
	if d.q.Config {
		out.Config = c.Config().Doc
	}
	return out
}

func position(p consumer.Position, last int64) monitor.JszPosition {
	out := monitor.JszPosition{Consumer: p.Consumer, Stream: p.Stream}
	if last != 0 {
		t := at(last)
		out.Last = &t
	}
	return out
}

// at is a moment of Unix nanoseconds, the zero time for none.
func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
