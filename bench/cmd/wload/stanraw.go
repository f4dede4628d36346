package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"
)

// The workloads whose names end in "raw" speak the streaming protocol over a raw socket:
// the official client takes 2 to 5 microseconds a message itself, more than a server.

// stanRaw publishes with window messages under way, on one connection.
func stanRaw(window, size int) func(e *env) *result {
	return func(e *env) *result {
		sc := e.stan("wl") // is connected, and answers heartbeats
		defer sc.Close()
		m := pb.PubMsg{ClientID: "wl", Guid: "0123456789012345678901", Subject: "wl", Data: payload(size)}
		data, err := m.Marshal()
		check(err)
		subject := "_STAN.pub." + e.cluster + ".wl"
		q := newRequester(e.url, window, 0, func(int64) string { return subject })
		q.pay = data
		q.isErr = func(p []byte, _ int) bool { return len(p) != 2+len(m.Guid) }
		e.begin()
		n, secs, lat, err := runRequesters([]*requester{q}, e.dur)
		check(err)
		return e.end(n, n*int64(size), secs, lat)
	}
}

// stanReplayRaw is stan-replay over a raw socket: each message is acknowledged, those of
// one read in one write.
func stanReplayRaw(e *env) *result {
	sc := e.stan("wl")
	defer sc.Close()
	total := min(e.stored, 1_000_000)
	e.stanPub(sc, total, 120*time.Second)
	r := mustRaw(e.url)
	defer r.c.Close()
	inbox := nats.NewInbox()
	check(r.write([]byte("SUB " + inbox + " 1\r\n")))
	acks, out := make(chan string, 1), []byte(nil)
	to, next := "", uint64(1)
	done := make(chan struct{})
	r.onMsg = func(_, _, pay []byte, _ int) {
		if to == "" {
			to = <-acks
		}
		seq, n := binary.Uvarint(pay[1:]) // the first field
		if pay[0] != 8 || n <= 0 || seq != next {
			r.fail(fmt.Errorf("message %d where %d is due", seq, next))
			return
		}
		a := pb.Ack{Subject: "wl", Sequence: seq}
		b, err := a.Marshal()
		if err != nil {
			r.fail(err)
			return
		}
		out = appendPub(out, to, "", b)
		if next++; next > uint64(total) {
			close(done)
		}
	}
	r.onChunk = func() {
		if err := r.write(out); err != nil {
			r.fail(err)
		}
		out = out[:0]
	}
	go r.loop()
	check(r.flush(10 * time.Second))
	e.begin()
	start := time.Now()
	acks <- e.stanSubscribe(inbox)
	select {
	case <-done:
	case <-time.After(120 * time.Second):
		check(errors.Join(errors.New("messages missing"), r.error()))
	}
	return e.end(total, total*128, time.Since(start).Seconds(), nil)
}

// stanSubscribe asks for all of the channel, and returns where acknowledgements go.
func (e *env) stanSubscribe(inbox string) string {
	q := pb.SubscriptionRequest{ClientID: "wl", Subject: "wl", Inbox: inbox, MaxInFlight: 1024, AckWaitInSecs: 30, StartPosition: pb.StartPosition_First}
	data, err := q.Marshal()
	check(err)
	nc, err := nats.Connect(e.url)
	check(err)
	defer nc.Close()
	m, err := nc.Request("_STAN.sub."+e.cluster, data, 10*time.Second)
	check(err)
	var resp pb.SubscriptionResponse
	check(resp.Unmarshal(m.Data))
	if resp.Error != "" {
		check(errors.New(resp.Error))
	}
	return resp.AckInbox
}

// stanRestart is restart for a streaming server: a million messages of 64 bytes in 10
// channels; seconds from exec until each channel has acknowledged one more.
func stanRestart(e *env) *result {
	if e.srv == nil {
		check(errors.New("stan-restart needs --bin or compare"))
	}
	const channels = 10
	total := min(e.restartMsgs, 1_000_000)
	sc := e.stan("wl")
	defer sc.NatsConn().Close() // its session goes on after each restart
	message := func(channel int) (string, []byte) {
		m := pb.PubMsg{ClientID: "wl", Guid: "0123456789012345678901", Subject: fmt.Sprint("wl", channel), Data: payload(64)}
		data, err := m.Marshal()
		check(err)
		return "_STAN.pub." + e.cluster + "." + m.Subject, data
	}
	t := time.Now()
	for c := range channels {
		subject, data := message(c)
		q := newRequester(e.url, 1024, 0, func(int64) string { return subject })
		q.pay, q.max = data, total/channels
		q.isErr = func(p []byte, _ int) bool { return len(p) != 2+22 }
		_, _, _, err := runRequesters([]*requester{q}, 120*time.Second)
		check(err)
	}
	ingest := time.Since(t).Seconds()
	once := func(kill bool) float64 {
		e.srv.stop(kill)
		t0 := time.Now()
		e.srv.startProc()
		e.pid = e.srv.cmd.Process.Pid
		nc, err := nats.Connect(e.url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(2*time.Millisecond), nats.ReconnectJitter(0, 0))
		check(err)
		defer nc.Close()
		for c := 0; c < channels; {
			subject, data := message(c)
			if m, err := nc.Request(subject, data, time.Second); err == nil && len(m.Data) == 2+22 {
				c++
				continue
			}
			if time.Since(t0) > 120*time.Second {
				check(fmt.Errorf("no restart: channel %d", c))
			}
			time.Sleep(2 * time.Millisecond)
		}
		return time.Since(t0).Seconds()
	}
	var clean, killed []float64
	e.begin()
	dirty := once(true) // right after the messages came
	for range e.rounds {
		clean = append(clean, once(false))
		killed = append(killed, once(true))
	}
	e.cpu0 = 0
	r := e.end(total, 0, median(clean), nil)
	r.CPU, r.GenCPU, r.Other, r.Rate = 0, 0, 0, 0
	r.Extra["after_first_kill_s"] = round(dirty)
	r.Extra["after_term_s"] = round(median(clean))
	r.Extra["after_kill_s"] = round(median(killed))
	r.Extra["ingest_msgs_s"] = round(float64(total) / ingest)
	return r
}
