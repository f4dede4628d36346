package main

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newKV(a *app) *cobra.Command {
	return parent(groupStreams, "kv", "Keep values under keys, with history",
		`A bucket keeps the newest values of each key, durably. Each change has a revision;
changes can be watched as they come, and made only if nobody else was faster. A
bucket NAME is the stream KV_NAME: what works for streams works for buckets.`,
		`  weir kv add CONFIG --history 5
  weir kv put CONFIG greeting hello
  weir kv get CONFIG greeting --raw
  weir kv update CONFIG greeting hi --revision 1
  weir kv watch CONFIG
  weir kv history CONFIG greeting`,
		newKVAdd(a), newKVPut(a), newKVCreate(a), newKVUpdate(a), newKVGet(a), newKVDel(a), newKVPurge(a), newKVHistory(a),
		newKVRevert(a), newKVKeys(a), newKVWatch(a), newKVLs(a), newKVInfo(a), newKVCompact(a), newKVRm(a))
}

// withBucket connects and finds a bucket; do's context ends with --timeout.
func (a *app) withBucket(cmd *cobra.Command, name string, do func(context.Context, jetstream.KeyValue) error) error {
	return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		kv, err := openBucket(ctx, js, name)
		if err != nil {
			return err
		}
		return do(ctx, kv)
	})
}

// openBucket finds a bucket and names it in the error.
func openBucket(ctx context.Context, js jetstream.JetStream, name string) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return kv, nil
}

// withLiveStreams is withStreams for what may take long: the context ends with the
// command or the connection, and context.Cause then says which.
func (a *app) withLiveStreams(cmd *cobra.Command, do func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	nc, js, err := a.connectStreams(nats.ClosedHandler(func(*nats.Conn) { cancel(errLost) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	return do(ctx, js)
}

// kvEntry is a value, or the mark of its deletion, as programs see it.
type kvEntry struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	Revision  uint64    `json:"revision"`
	Operation string    `json:"operation"` // put, del or purge
	Time      time.Time `json:"time"`
	Value     *string   `json:"value,omitempty"`        // where it is UTF-8
	Base64    []byte    `json:"value_base64,omitempty"` // where it is not
}

func entryOf(e jetstream.KeyValueEntry) *kvEntry {
	out := &kvEntry{Bucket: e.Bucket(), Key: e.Key(), Revision: e.Revision(), Operation: operation(e), Time: e.Created()}
	if e.Operation() != jetstream.KeyValuePut {
		return out
	}
	if b := e.Value(); utf8.Valid(b) {
		s := string(b)
		out.Value = &s
	} else {
		out.Base64 = b
	}
	return out
}

func operation(e jetstream.KeyValueEntry) string {
	switch e.Operation() {
	case jetstream.KeyValueDelete:
		return "del"
	case jetstream.KeyValuePurge:
		return "purge"
	}
	return "put"
}

// value reads the value of put and its like: an argument, or standard input for "-"
// and where it is left out and somebody gives one.
func (a *app) value(cmd *cobra.Command, args []string) ([]byte, error) {
	if len(args) > 0 && args[0] != "-" {
		return []byte(args[0]), nil
	}
	if len(args) == 0 && a.inTerm {
		return nil, usagef(cmd, "no VALUE: give one, or - to read it from standard input")
	}
	s, err := readAll(a.in)
	return []byte(s), err
}
