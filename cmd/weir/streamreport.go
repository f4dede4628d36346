package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// order is a way to sort rows: by name upwards, by all else with the largest first.
type order[T any] map[string]func(x, y T) int

// names lists the ways in a fixed order.
func (o order[T]) names() string {
	all := make([]string, 0, len(o))
	for name := range o {
		all = append(all, name)
	}
	return oneOf(all)
}

// sort sorts rows as a flag says; where they are equal the order stays.
func (o order[T]) sort(cmd *cobra.Command, rows []T, by string, reverse bool) error {
	compare, ok := o[by]
	if !ok {
		return usagef(cmd, "--sort is %s, not %q", o.names(), by)
	}
	slices.SortStableFunc(rows, func(x, y T) int {
		if reverse {
			return compare(y, x)
		}
		return compare(x, y)
	})
	return nil
}

// descending compares by a number, the largest first.
func descending[T any, N cmp.Ordered](of func(T) N) func(x, y T) int {
	return func(x, y T) int { return cmp.Compare(of(y), of(x)) }
}

// streamRow is one stream in a report.
type streamRow struct {
	Name      string    `json:"name"`
	Storage   string    `json:"storage"`
	Retention string    `json:"retention"`
	Consumers int       `json:"consumers"`
	Messages  uint64    `json:"messages"`
	Bytes     uint64    `json:"bytes"`
	Subjects  uint64    `json:"subjects"`
	Deleted   int       `json:"deleted"`
	FirstSeq  uint64    `json:"first_seq"`
	LastSeq   uint64    `json:"last_seq"`
	LastTime  time.Time `json:"last_time"`
}

// streamReport is what `weir stream report --json` prints.
type streamReport struct {
	Streams []*streamRow `json:"streams"`
	Total   struct {
		Streams   int    `json:"streams"`
		Consumers int    `json:"consumers"`
		Messages  uint64 `json:"messages"`
		Bytes     uint64 `json:"bytes"`
	} `json:"total"`
}

var streamOrder = order[*streamRow]{
	"name":      func(x, y *streamRow) int { return strings.Compare(x.Name, y.Name) },
	"messages":  descending(func(r *streamRow) uint64 { return r.Messages }),
	"bytes":     descending(func(r *streamRow) uint64 { return r.Bytes }),
	"subjects":  descending(func(r *streamRow) uint64 { return r.Subjects }),
	"consumers": descending(func(r *streamRow) int { return r.Consumers }),
	"deleted":   descending(func(r *streamRow) int { return r.Deleted }),
	"time":      descending(func(r *streamRow) int64 { return r.LastTime.UnixNano() }),
}

func newStreamReport(a *app) *cobra.Command {
	var by, subject string
	var reverse bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Compare streams by what they hold",
		Long: `Shows what all streams hold, in one table with a total. --sort puts the stream with
the most messages, bytes, subjects, consumers or deleted messages first, or the one
with the newest message (time).`,
		Example: "  weir stream report\n  weir stream report --sort bytes\n  weir stream report --subject 'orders.>' --json",
		Args:    arguments(0, 0),
	}
	cmd.Flags().StringVar(&by, "sort", "name", "sort by `COLUMN`: "+streamOrder.names())
	cmd.Flags().BoolVar(&reverse, "reverse", false, "sort the other way round")
	cmd.Flags().StringVar(&subject, "subject", "", "only streams that keep `subjects` like this")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := streamOrder.sort(cmd, nil, by, reverse); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			list, err := listStreams(ctx, js, subject)
			if err != nil {
				return err
			}
			r := reportStreams(list)
			if err := streamOrder.sort(cmd, r.Streams, by, reverse); err != nil {
				return err
			}
			return a.showStreamReport(r)
		})
	}
	return cmd
}

func reportStreams(list []*jetstream.StreamInfo) *streamReport {
	r := &streamReport{Streams: []*streamRow{}}
	for _, s := range list {
		st := &s.State
		r.Streams = append(r.Streams, &streamRow{
			Name: s.Config.Name, Storage: strings.ToLower(s.Config.Storage.String()), Retention: strings.ToLower(s.Config.Retention.String()),
			Consumers: st.Consumers, Messages: st.Msgs, Bytes: st.Bytes, Subjects: st.NumSubjects, Deleted: st.NumDeleted,
			FirstSeq: st.FirstSeq, LastSeq: st.LastSeq, LastTime: st.LastTime,
		})
		t := &r.Total
		t.Streams++
		t.Consumers += st.Consumers
		t.Messages += st.Msgs
		t.Bytes += st.Bytes
	}
	return r
}

func (a *app) showStreamReport(r *streamReport) error {
	if a.asJSON {
		return a.printJSON(r)
	}
	t := newTable("NAME", "STORAGE", "RETENTION", ">CONSUMERS", ">MESSAGES", ">BYTES", ">SUBJECTS", ">DELETED", ">FIRST", ">LAST", "LAST MESSAGE")
	for _, s := range r.Streams {
		t.add(s.Name, s.Storage, s.Retention, thousands(s.Consumers), thousands(s.Messages), humanBytes(s.Bytes), thousands(s.Subjects),
			thousands(s.Deleted), thousands(s.FirstSeq), thousands(s.LastSeq), when(s.LastTime))
	}
	t.total(plural(uint64(r.Total.Streams), "stream", "streams"), "", "", thousands(r.Total.Consumers), thousands(r.Total.Messages),
		humanBytes(r.Total.Bytes), "", "", "", "", "")
	return t.print(a.out, a.bold)
}
