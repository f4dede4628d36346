package jetstream

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSchedulesNameTheirNextTime(t *testing.T) {
	after := time.Date(2026, 11, 21, 12, 0, 0, 400_000_000, time.UTC)
	for pattern, want := range map[string]string{
		"@at 2026-11-21T13:00:00+01:00": "2026-11-21T12:00:00Z",
		"@every 90s":                    "2026-11-21T12:01:30Z",
		"@hourly":                       "2026-11-21T13:00:00Z",
		"@midnight":                     "2026-11-22T00:00:00Z",
		"@weekly":                       "2026-11-22T00:00:00Z",
		"@annually":                     "2027-01-01T00:00:00Z",
		"* * * * * *":                   "2026-11-21T12:00:01Z",
		"0 30 9-17/4 * * mon,WED":       "2026-11-23T09:30:00Z",
		"0 0 0 13 * 5":                  "2026-11-27T00:00:00Z", // the 13th or a Friday
	} {
		s, err := ParseSchedule([]byte(pattern), nil)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		next, ok := s.Next(after.UnixNano())
		if got := time.Unix(0, next).UTC().Format(time.RFC3339Nano); !ok || got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
		if s.Once() != strings.HasPrefix(pattern, "@at") {
			t.Errorf("%s: once %v", pattern, s.Once())
		}
	}
	s, err := ParseSchedule([]byte("0 0 12 * * *"), []byte("America/New_York"))
	if err != nil {
		t.Fatal(err)
	}
	if next, _ := s.Next(after.UnixNano()); !time.Unix(0, next).Equal(time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("noon in New York is %v", time.Unix(0, next).UTC())
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, pattern := range []string{"", "@at", "@at tomorrow", "@every 10ms", "@every", "@never", "* * * * *", "61 * * * * *", "TZ=UTC * * * * * *", "x"} {
		if _, err := ParseSchedule([]byte(pattern), nil); err == nil {
			t.Errorf("%q is taken", pattern)
		}
	}
	for _, pattern := range []string{"@hourly", "@every 5s", "@at 2026-11-21T13:00:00Z"} {
		if _, err := ParseSchedule([]byte(pattern), []byte("Nowhere/At_All")); !errors.Is(err, errZone) {
			t.Errorf("%q nowhere: %v", pattern, err)
		}
	}
	for _, pattern := range []string{"@every 5s", "@at 2026-11-21T13:00:00Z"} {
		if _, err := ParseSchedule([]byte(pattern), []byte("UTC")); !errors.Is(err, errSchedule) {
			t.Errorf("%q in a time zone: %v", pattern, err)
		}
	}
}

func TestSchedulesOfMessagesAreChecked(t *testing.T) {
	c := StreamConfig{Name: "S", Subjects: []string{"s.>", "t.>"}, AllowMsgSchedules: true, AllowRollup: true}
	ttls := c
	ttls.AllowMsgTTL = true
	const every = "Nats-Schedule: @every 5s\r\n"
	for _, k := range []struct {
		lines string
		cfg   *StreamConfig
		code  int
	}{
		{every + "Nats-Schedule-Target: t.a", &c, 0},
		{every + "Nats-Schedule-Target: t.a", &StreamConfig{}, CodeSchedulesDisabled},
		{"Nats-Schedule: soon\r\nNats-Schedule-Target: t.a", &c, CodeSchedulePatternInvalid},
		{"Nats-Schedule: 0 0 0 31 2 *\r\nNats-Schedule-Target: t.a", &c, CodeSchedulePatternInvalid},
		{every + "Nats-Schedule-Time-Zone: UTC\r\nNats-Schedule-Target: t.a", &c, CodeSchedulePatternInvalid},
		{every, &c, CodeScheduleTargetInvalid},
		{every + "Nats-Schedule-Target: s.own", &c, CodeScheduleTargetInvalid},
		{every + "Nats-Schedule-Target: t.*", &c, CodeScheduleTargetInvalid},
		{every + "Nats-Schedule-Target: u.a", &c, CodeScheduleTargetInvalid},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-TTL: 5s", &c, CodeTTLDisabled},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-TTL: 5s", &ttls, 0},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-TTL: 5ms", &ttls, CodeScheduleTTLInvalid},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-Rollup: all", &c, CodeScheduleRollupInvalid},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Rollup: all", &c, CodeScheduleRollupInvalid},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-Source: t.a", &c, CodeScheduleSourceInvalid},
		{every + "Nats-Schedule-Target: t.a\r\nNats-Schedule-Source: t.b", &c, 0},
	} {
		h := ParsePublishHeader(block(k.lines))
		err := h.RefuseSchedule(k.cfg, []byte("s.own"), 1e18)
		if k.code == 0 && err != nil || k.code != 0 && !err.Has(k.code) {
			t.Errorf("%q: %v, want %d", k.lines, err, k.code)
		}
	}
}

func TestScheduledMessagesTakeOverTheHeader(t *testing.T) {
	from := block("A: b\r\nNats-Schedule: @every 5s\r\nNats-Schedule-Target: t.a\r\nNats-Schedule-TTL: 7s\r\nNats-Schedule-Rollup: sub\r\nNats-Msg-Id: 1\r\nNats-Expected-Stream: S\r\nNats-TTL: 1h\r\nNats-Rollup: sub\r\nC: d")
	h := ParsePublishHeader(from)
	got := string(h.AppendScheduled(nil, from, "s.own", 0))
	want := "NATS/1.0\r\nA: b\r\nC: d\r\nNats-Scheduler: s.own\r\nNats-Schedule-Next: purge\r\nNats-TTL: 7s\r\nNats-Rollup: sub\r\n\r\n"
	if got != want {
		t.Errorf("got %q", got)
	}
	if h.ScheduledTTL() != int64(7*time.Second) {
		t.Errorf("ttl %d", h.ScheduledTTL())
	}
	h = PublishHeader{}
	if got := string(h.AppendScheduled(nil, nil, "s", 1e9)); got != "NATS/1.0\r\nNats-Scheduler: s\r\nNats-Schedule-Next: 1970-01-01T00:00:01Z\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, p := range []string{"@every 5s", "@at 2026-11-21T13:00:00Z", "0 0 0 13 * 5", "@daily", "*/5 1-3 * * jan sun"} {
		f.Add([]byte(p), []byte(""), int64(1e18))
	}
	f.Fuzz(func(t *testing.T, pattern, zone []byte, after int64) {
		s, err := ParseSchedule(pattern, zone)
		if err != nil {
			return
		}
		if next, ok := s.Next(after); ok && !s.Once() && after > 0 && after < 4e18 && next <= after-int64(time.Second) {
			t.Errorf("%q: %d comes after %d", pattern, next, after)
		}
	})
}
