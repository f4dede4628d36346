package streams_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

func TestAccountInfoCounts(t *testing.T) {
	b := start(t)
	b.consumer(jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	b.fill(10)
	info, err := b.js.AccountInfo(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.Streams != 1 || info.Consumers != 1 || info.Store == 0 || info.API.Total == 0 {
		t.Errorf("account info is %+v", info)
	}
}

func TestStreamsAreMadeListedChangedAndDeleted(t *testing.T) {
	b := start(t)
	for _, name := range []string{"Z", "A"} {
		if _, err := b.js.CreateStream(b.ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	lister := b.js.StreamNames(b.ctx)
	for n := range lister.Name() {
		names = append(names, n)
	}
	if want := []string{"A", "S", "Z"}; lister.Err() != nil || !slices.Equal(names, want) {
		t.Errorf("names are %v, %v", names, lister.Err())
	}
	if name, err := b.js.StreamNameBySubject(b.ctx, "A.x"); err != nil || name != "A" {
		t.Errorf("A.x belongs to %q, %v", name, err)
	}
	c := b.stream.CachedInfo().Config
	c.MaxMsgs, c.Description = 5, "changed"
	if s, err := b.js.UpdateStream(b.ctx, c); err != nil || s.CachedInfo().Config.MaxMsgs != 5 || s.CachedInfo().Config.Description != "changed" {
		t.Errorf("update: %v", err)
	}
	if err := b.js.DeleteStream(b.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Stream(b.ctx, "S"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a deleted stream: %v", err)
	}
	if _, err := b.js.Publish(b.ctx, "s.x", nil, jetstream.WithRetryAttempts(0)); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("publish without a stream: %v", err)
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	c := start(t).stream.CachedInfo().Config
	if c.MaxMsgs != -1 || c.MaxBytes != -1 || c.MaxMsgsPerSubject != -1 || c.MaxMsgSize != -1 || c.MaxConsumers != -1 ||
		c.Replicas != 1 || c.Duplicates != 2*time.Minute || c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy {
		t.Errorf("configuration is %+v", c)
	}
}

func TestConflictingStreamsAreRefused(t *testing.T) {
	b := start(t)
	if _, err := b.js.CreateStream(b.ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true}); err != nil {
		t.Errorf("the same stream again: %v", err)
	}
	for name, c := range map[string]struct {
		config jetstream.StreamConfig
		code   jetstream.ErrorCode
	}{
		"same name":         {jetstream.StreamConfig{Name: "S", Subjects: []string{"other"}}, 10058},
		"overlap":           {jetstream.StreamConfig{Name: "T", Subjects: []string{"s.x"}}, 10065},
		"overlap, wildcard": {jetstream.StreamConfig{Name: "T", Subjects: []string{"s.*"}}, 10065},
		"overlap in itself": {jetstream.StreamConfig{Name: "T", Subjects: []string{"t.>", "t.x"}}, 10052},
		"bad subject":       {jetstream.StreamConfig{Name: "T", Subjects: []string{"t..x"}}, 10052},
		"replicas":          {jetstream.StreamConfig{Name: "T", Subjects: []string{"t"}, Replicas: 3}, 10074},
		"window over age":   {jetstream.StreamConfig{Name: "T", Subjects: []string{"t"}, MaxAge: time.Second, Duplicates: time.Minute}, 10052},
	} {
		if _, err := b.js.CreateStream(b.ctx, c.config); code(err) != c.code {
			t.Errorf("%s: %v, want error %d", name, err, c.code)
		}
	}
	if _, err := b.js.UpdateStream(b.ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Storage: jetstream.MemoryStorage}); code(err) != 10052 {
		t.Errorf("another storage: %v", err)
	}
	if _, err := b.js.UpdateStream(b.ctx, jetstream.StreamConfig{Name: "NOPE", Subjects: []string{"n"}}); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("update of no stream: %v", err)
	}
}

func TestSubjectsAreCounted(t *testing.T) {
	b := start(t)
	b.fill(10)
	info, err := b.stream.Info(b.ctx, jetstream.WithSubjectFilter("s.*"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(info.State.Subjects); got != "map[s.0:4 s.1:3 s.2:3]" || info.State.NumSubjects != 3 {
		t.Errorf("subjects are %s, %d", got, info.State.NumSubjects)
	}
}

func TestAnyOfManyStreamsIsListed(t *testing.T) {
	b := start(t)
	const n = 300 // more than a page of the list
	for i := range n {
		if _, err := b.js.CreateStream(b.ctx, jetstream.StreamConfig{Name: fmt.Sprintf("M%03d", i), Subjects: []string{fmt.Sprintf("m.%d", i)}, Storage: jetstream.MemoryStorage}); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	lister := b.js.ListStreams(b.ctx)
	for range lister.Info() {
		count++
	}
	if lister.Err() != nil || count != n+1 {
		t.Errorf("%d streams are listed, %v", count, lister.Err())
	}
}

func TestLimitsRemoveTheOldest(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		b := start(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 })
		b.fill(12)
		b.expectState(5, 8, 12)
	})
	t.Run("bytes", func(t *testing.T) {
		b := start(t, func(c *jetstream.StreamConfig) { c.MaxBytes = 10000 })
		for range 50 {
			b.publish("s.x", string(make([]byte, 1000)))
		}
		if st := b.state(); st.Bytes > 10000 || st.Msgs < 5 || st.LastSeq != 50 || st.FirstSeq != 50-st.Msgs+1 {
			t.Errorf("state is %+v", st)
		}
	})
	t.Run("messages of a subject", func(t *testing.T) {
		b := start(t, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 })
		b.fill(12)
		b.expectState(3, 10, 12)
	})
	t.Run("age", func(t *testing.T) {
		b := start(t, func(c *jetstream.StreamConfig) {
			c.MaxAge = 500 * time.Millisecond
			c.Duplicates = 100 * time.Millisecond
		})
		b.fill(3)
		harness.Eventually(t, "old messages go", func() bool { return b.state().Msgs == 0 })
		b.expectState(0, 4, 3)
		b.publish("s.x", "")
		b.expectState(1, 4, 4)
	})
	t.Run("an update that lowers a limit", func(t *testing.T) {
		b := start(t)
		b.fill(9)
		c := b.stream.CachedInfo().Config
		c.MaxMsgs = 4
		if _, err := b.js.UpdateStream(b.ctx, c); err != nil {
			t.Fatal(err)
		}
		b.expectState(4, 6, 9)
	})
}

func TestDiscardNewRefusesOverTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		stored uint64
	}{
		"messages":    {func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 }, 5},
		"bytes":       {func(c *jetstream.StreamConfig) { c.MaxBytes = 120 }, 0},
		"per subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 2, true }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardNew; c.change(s) })
			var refused error
			var stored uint64
			for range 10 {
				if _, err := b.js.Publish(b.ctx, "s.x", []byte("0123456789")); err != nil {
					refused = err
					break
				}
				stored++
			}
			if code(refused) != 10077 || stored == 0 || c.stored != 0 && stored != c.stored {
				t.Errorf("%d stored, then %v", stored, refused)
			}
			b.expectState(stored, 1, stored)
		})
	}
}

func TestTooLargeMessagesAreRefused(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 })
	b.publish("s.x", string(make([]byte, 100)))
	if _, err := b.js.Publish(b.ctx, "s.x", make([]byte, 101)); code(err) != 10054 {
		t.Errorf("101 bytes: %v", err)
	}
	b.expectState(1, 1, 1)
}

func TestPurgeRemovesWhatItNames(t *testing.T) {
	for name, c := range map[string]struct {
		opts            []jetstream.StreamPurgeOpt
		messages, first uint64
	}{
		"all":              {nil, 0, 13},
		"before":           {[]jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(5)}, 8, 5},
		"keep":             {[]jetstream.StreamPurgeOpt{jetstream.WithPurgeKeep(2)}, 2, 11},
		"subject":          {[]jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject("s.0")}, 8, 2},
		"subject and keep": {[]jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject("s.0"), jetstream.WithPurgeKeep(1)}, 9, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			b.fill(12)
			if err := b.stream.Purge(b.ctx, c.opts...); err != nil {
				t.Fatal(err)
			}
			b.expectState(c.messages, c.first, 12)
			if seq := b.publish("s.0", "after"); seq != 13 {
				t.Errorf("the next sequence is %d", seq)
			}
		})
	}
	b := start(t, func(c *jetstream.StreamConfig) { c.DenyPurge, c.DenyDelete = true, true })
	b.fill(3)
	if err := b.stream.Purge(b.ctx); err == nil {
		t.Error("deny_purge: purged")
	}
	if err := b.stream.DeleteMsg(b.ctx, 1); !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		t.Errorf("deny_delete: %v", err)
	}
	b.expectState(3, 1, 3)
}

func TestMemoryStreamsWorkAndForgetOnRestart(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage })
	b.fill(5)
	b.expectState(5, 1, 5)
	b.server.Kill()
	b.server.Run()
	b.stream = nil
	b.reconnect()
	s, err := b.js.Stream(b.ctx, "S")
	if err == nil && s.CachedInfo().State.Msgs == 0 || errors.Is(err, jetstream.ErrStreamNotFound) {
		return
	}
	t.Errorf("after the restart there is %+v, %v", s, err)
}

func TestRestartKeepsAll(t *testing.T) {
	for name, stop := range map[string]func(*harness.Server){
		"SIGTERM": func(s *harness.Server) { s.Stop() },
		"SIGKILL": func(s *harness.Server) { s.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 100 })
			b.fill(300)
			c := b.consumer(jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "s.1"})
			b.expectSequences(c, 2, 5, 8)
			if err := b.stream.DeleteMsg(b.ctx, 100); err != nil {
				t.Fatal(err)
			}
			b.publish("s.id", "x", jetstream.WithMsgID("once"))
			before := b.state()
			stop(b.server)
			b.server.Run()
			b.reconnect()
			after := b.state()
			if before.Msgs != after.Msgs || before.FirstSeq != after.FirstSeq || before.LastSeq != after.LastSeq || before.Bytes != after.Bytes ||
				before.NumSubjects != after.NumSubjects || !before.LastTime.Equal(after.LastTime) || after.NumDeleted != 1 {
				t.Errorf("state was %+v and is %+v", before, after)
			}
			ack, err := b.js.Publish(b.ctx, "s.id", []byte("x"), jetstream.WithMsgID("once"))
			if err != nil || !ack.Duplicate || ack.Sequence != 301 {
				t.Errorf("the same identifier again: %+v, %v", ack, err)
			}
			c, err = b.js.Consumer(b.ctx, "S", "c")
			if err != nil {
				t.Fatal(err)
			}
			b.expectSequences(c, 11, 14)
			for seq := uint64(1); seq <= 300; seq++ {
				m, err := b.stream.GetMsg(b.ctx, seq)
				if seq == 100 {
					if !errors.Is(err, jetstream.ErrMsgNotFound) {
						t.Errorf("the deleted message is %v, %v", m, err)
					}
				} else if err != nil || string(m.Data) != fmt.Sprint(seq) {
					t.Fatalf("message %d is %v, %v", seq, m, err)
				}
			}
		})
	}
}
