package server

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// fillMany makes a stream of records on some subjects.
func fillMany(space *broker.Space, records, subjects int) {
	in := &inbox{c: make(chan []byte, 1)}
	sub := &broker.Subscription{Subject: "_INBOX.bench", Kind: broker.KindClient, Sink: in}
	space.Subscribe(sub)
	defer space.Unsubscribe(sub)
	ask := func(subject, data []byte) {
		space.Publish(&broker.Message{Subject: subject, Reply: []byte(sub.Subject), Data: data})
		<-in.c
	}
	ask([]byte("$JS.API.STREAM.CREATE.MANY"), []byte(`{"name":"MANY","subjects":["many.>"],"storage":"file"}`))
	data := make([]byte, 100)
	for i := range records {
		subject := fmt.Appendf(nil, "many.%07d", i%subjects)
		if i%1000 == 999 {
			ask(subject, data) // the thousand is stored
			continue
		}
		space.Publish(&broker.Message{Subject: subject, Data: data})
	}
}

// BenchmarkOpenMillionRecords opens a server, and with it a stream of a million
// records, after a clean stop.
func BenchmarkOpenMillionRecords(b *testing.B) {
	const records = 1_000_000
	for _, subjects := range []int{10, 100_000, records} {
		b.Run(fmt.Sprintf("subjects=%d", subjects), func(b *testing.B) {
			c := defaultConfig()
			c.JetStream.StoreDir = b.TempDir()
			c.settle()
			start := func() *node {
				r, err := buildOn(vfs.OS{}, c, slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				return &node{nil, r, r.spaces.Get("$G")}
			}
			stop := func(n *node) {
				if err := n.close(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			n := start()
			n.start(context.Background())
			fillMany(n.space, records, subjects)
			stop(n)
			for b.Loop() {
				n := start()
				b.StopTimer()
				if st := n.streams.Find("$G", "MANY").Partition().Status(); st.Records != records || st.Subjects != subjects {
					b.Fatalf("%+v", st)
				}
				n.start(context.Background())
				stop(n)
				b.StartTimer()
			}
		})
	}
}
