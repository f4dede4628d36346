package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// origin is a server that streams are read from: the one to copy from, or weir when
// the copy is read back.
type origin struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	prefix  string // of the API's subjects
	timeout time.Duration
}

// openOrigin connects to the server to copy from; closed is told when the connection
// ends.
func (a *app) openOrigin(f *importFlags, closed func(error)) (*origin, error) {
	opts, err := f.options(a, closed)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(f.from, opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", redact(f.from), err)
	}
	o := &origin{nc: nc, prefix: "$JS.API.", timeout: max(a.timeout, snapshotPatience)}
	if f.domain == "" {
		o.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(o.timeout))
	} else {
		o.prefix = "$JS." + f.domain + ".API."
		o.js, err = jetstream.NewWithDomain(nc, f.domain, jetstream.WithDefaultTimeout(o.timeout))
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("prepare stream requests: %w", err)
	}
	return o, nil
}

// streamFacts are what the API says of a stream; its settings are kept as they came,
// so that none is lost that this program does not know.
type streamFacts struct {
	Config  json.RawMessage       `json:"config"`
	Created time.Time             `json:"created"`
	State   jetstream.StreamState `json:"state"`

	known jetstream.StreamConfig
}

// Name is the stream's.
func (s *streamFacts) Name() string { return s.known.Name }

// consumerFacts are what the API says of a consumer.
type consumerFacts struct {
	Name    string          `json:"name"`
	Created time.Time       `json:"created"`
	Config  json.RawMessage `json:"config"`

	Delivered      jetstream.SequenceInfo `json:"delivered"`
	AckFloor       jetstream.SequenceInfo `json:"ack_floor"`
	NumAckPending  int                    `json:"num_ack_pending"`
	NumRedelivered int                    `json:"num_redelivered"`
	NumPending     uint64                 `json:"num_pending"`

	known jetstream.ConsumerConfig
}

// page is one answer of a listing.
type page struct {
	Total     int               `json:"total"`
	Offset    int               `json:"offset"`
	Streams   []json.RawMessage `json:"streams"`
	Consumers []json.RawMessage `json:"consumers"`
}

// ask makes one request of the API.
func (o *origin) ask(ctx context.Context, subject string, body, answer any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	m, err := o.nc.RequestWithContext(ctx, o.prefix+subject, b)
	if err != nil {
		return err
	}
	if err := apiFailure(m.Data); err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// list reads all pages of a listing.
func (o *origin) list(ctx context.Context, subject string, each func(json.RawMessage) error) error {
	for offset := 0; ; {
		var p page
		if err := o.ask(ctx, subject, map[string]int{"offset": offset}, &p); err != nil {
			return err
		}
		items := append(p.Streams, p.Consumers...)
		for _, item := range items {
			if err := each(item); err != nil {
				return err
			}
		}
		if offset += len(items); len(items) == 0 || offset >= p.Total {
			return nil
		}
	}
}

// streams lists the chosen streams by name.
func (o *origin) streams(ctx context.Context, wants func(string) bool) ([]*streamFacts, error) {
	var all []*streamFacts
	err := o.list(ctx, "STREAM.LIST", func(item json.RawMessage) error {
		s := new(streamFacts)
		err := json.Unmarshal(item, s)
		if err == nil {
			err = json.Unmarshal(s.Config, &s.known)
		}
		if err != nil {
			return fmt.Errorf("read a stream's settings: %w", err)
		}
		if wants(s.Name()) {
			all = append(all, s)
		}
		return nil
	})
	slices.SortFunc(all, func(x, y *streamFacts) int { return strings.Compare(x.Name(), y.Name()) })
	return all, err
}

// state says what a stream holds now.
func (o *origin) state(ctx context.Context, stream string) (jetstream.StreamState, error) {
	var s streamFacts
	err := o.ask(ctx, "STREAM.INFO."+stream, nil, &s)
	return s.State, err
}

// consumers lists a stream's consumers by name.
func (o *origin) consumers(ctx context.Context, stream string) ([]*consumerFacts, error) {
	var all []*consumerFacts
	err := o.list(ctx, "CONSUMER.LIST."+stream, func(item json.RawMessage) error {
		c := new(consumerFacts)
		err := json.Unmarshal(item, c)
		if err == nil {
			err = json.Unmarshal(c.Config, &c.known)
		}
		if err != nil {
			return fmt.Errorf("read a consumer's settings: %w", err)
		}
		all = append(all, c)
		return nil
	})
	slices.SortFunc(all, func(x, y *consumerFacts) int { return strings.Compare(x.Name, y.Name) })
	return all, err
}
