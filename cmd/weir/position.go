package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// position is where in a stream reading starts.
type position struct {
	policy jetstream.DeliverPolicy
	seq    uint64
	time   *time.Time
}

const positionHelp = "all, new, last, last-per-subject, a sequence (1200), a time (2026-08-19T12:00:00Z, 12:30) or how long ago (90s, 2h, 7d)"

// timeLayouts are the ways to write a moment. Those without a zone are local;
// one without a date is today.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"}

var clockLayouts = []string{"15:04:05.999999999", "15:04"}

// parsePosition reads the value of --from and --deliver.
func parsePosition(s string, now time.Time) (position, error) {
	switch strings.ToLower(s) {
	case "all", "first":
		return position{policy: jetstream.DeliverAllPolicy}, nil
	case "new":
		return position{policy: jetstream.DeliverNewPolicy}, nil
	case "last":
		return position{policy: jetstream.DeliverLastPolicy}, nil
	case "last-per-subject":
		return position{policy: jetstream.DeliverLastPerSubjectPolicy}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if n == 0 {
			return position{}, fmt.Errorf("sequences start at 1")
		}
		return position{policy: jetstream.DeliverByStartSequencePolicy, seq: n}, nil
	}
	if t, ok := parseTime(s, now); ok {
		return position{policy: jetstream.DeliverByStartTimePolicy, time: &t}, nil
	}
	if d, err := parseDuration(s); err == nil && d >= 0 {
		t := now.Add(-d)
		return position{policy: jetstream.DeliverByStartTimePolicy, time: &t}, nil
	}
	return position{}, fmt.Errorf("%q is no position; write %s", s, positionHelp)
}

func parseTime(s string, now time.Time) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, true
		}
	}
	for _, layout := range clockLayouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location()), true
		}
	}
	return time.Time{}, false
}
