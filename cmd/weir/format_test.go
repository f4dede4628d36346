package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestNumbersReadWell(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{thousands(0), "0"}, {thousands(999), "999"}, {thousands(1000), "1,000"}, {thousands(-1234567), "-1,234,567"},
		{thousands(uint64(math.MaxUint64)), "18,446,744,073,709,551,615"},
		{humanBytes(0), "0 B"}, {humanBytes(1023), "1023 B"}, {humanBytes(1024), "1.0 KiB"}, {humanBytes(1536 << 10), "1.5 MiB"},
		{humanBytes(1<<20 - 1), "1.0 MiB"}, {humanBytes(math.MaxUint64), "16.0 EiB"},
		{humanDuration(0), "0s"}, {humanDuration(1500 * time.Millisecond), "1.5s"}, {humanDuration(2 * time.Minute), "2m"},
		{humanDuration(90 * time.Minute), "1h30m"}, {humanDuration(170 * time.Hour), "7d2h"}, {humanDuration(-time.Minute), "-1m"},
		{limit(-1), "unlimited"}, {limitBytes(2048), "2.0 KiB"}, {limitAge(0), "unlimited"},
		{plural(1, "message", "messages"), "1 message"}, {plural(2000, "message", "messages"), "2,000 messages"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestSizesAndDurationsAreReadOrRefused(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "512": 512, "1k": 1024, "64KB": 65536, "1.5MiB": 3 << 19, "10GiB": 10 << 30, "-1": -1, "unlimited": -1} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "ten", "-5", "9999999P", "nan", "1x", "infK"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", s, got)
		}
	}
	for s, want := range map[string]time.Duration{"90s": 90 * time.Second, "7d": 168 * time.Hour, "1.5w": 252 * time.Hour, "1y": 8760 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := parseDuration(s); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "5", "-1d", "1e300y", "soon"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", s, got)
		}
	}
}

func TestPositionsAreReadOrRefused(t *testing.T) {
	now := time.Date(2026, 8, 19, 15, 0, 0, 0, time.UTC)
	at := func(p position) string {
		if p.time == nil {
			return ""
		}
		return p.time.Format(time.RFC3339)
	}
	for s, want := range map[string]struct {
		policy jetstream.DeliverPolicy
		seq    uint64
		at     string
	}{
		"all":                  {jetstream.DeliverAllPolicy, 0, ""},
		"New":                  {jetstream.DeliverNewPolicy, 0, ""},
		"last":                 {jetstream.DeliverLastPolicy, 0, ""},
		"last-per-subject":     {jetstream.DeliverLastPerSubjectPolicy, 0, ""},
		"1200":                 {jetstream.DeliverByStartSequencePolicy, 1200, ""},
		"2h":                   {jetstream.DeliverByStartTimePolicy, 0, "2026-08-19T13:00:00Z"},
		"7d":                   {jetstream.DeliverByStartTimePolicy, 0, "2026-08-12T15:00:00Z"},
		"12:30":                {jetstream.DeliverByStartTimePolicy, 0, "2026-08-19T12:30:00Z"},
		"2026-08-01":           {jetstream.DeliverByStartTimePolicy, 0, "2026-08-01T00:00:00Z"},
		"2026-08-01 10:00:00":  {jetstream.DeliverByStartTimePolicy, 0, "2026-08-01T10:00:00Z"},
		"2026-08-01T10:00:00Z": {jetstream.DeliverByStartTimePolicy, 0, "2026-08-01T10:00:00Z"},
	} {
		p, err := parsePosition(s, now)
		if err != nil || p.policy != want.policy || p.seq != want.seq || at(p) != want.at {
			t.Errorf("parsePosition(%q) = %+v at %s, %v; want %+v", s, p, at(p), err, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "tomorrow", "25:00"} {
		if p, err := parsePosition(s, now); err == nil {
			t.Errorf("parsePosition(%q) = %+v, want an error", s, p)
		}
	}
}

func TestTableColumnsAlign(t *testing.T) {
	tb := newTable("NAME", ">COUNT", "NOTE")
	tb.add("é", "1,000", "")
	tb.add("longer", "7", "x")
	var b bytes.Buffer
	if err := tb.print(&b, strings.ToUpper); err != nil {
		t.Fatal(err)
	}
	want := "NAME    COUNT  NOTE\n" +
		"é       1,000\n" +
		"longer      7  x\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestSheetLeavesOutFactsWithoutValue(t *testing.T) {
	var s sheet
	s.heading("Stream S")
	s.add("Subjects", "a")
	s.add("Description", "")
	s.heading("Limits")
	s.add("Age", "7d")
	var b bytes.Buffer
	if err := s.print(&b, func(x string) string { return x }); err != nil {
		t.Fatal(err)
	}
	if want := "Stream S\n  Subjects  a\n\nLimits\n  Age       7d\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}
