package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// thousands writes n with separators: 1,234,567.
func thousands[N int | int64 | uint64](n N) string {
	s := fmt.Sprintf("%d", n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// humanBytes writes a size with a binary unit: 1.5 MiB.
func humanBytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < 5 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}

// limit writes a limit of which zero and less mean none.
func limit(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return thousands(n)
}

func limitBytes(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return humanBytes(uint64(n))
}

func limitAge(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return humanDuration(d)
}

// humanDuration writes a duration without its zero parts, with days: 7d, 2m, 1h30m, 12.3ms.
func humanDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + humanDuration(-d)
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	var b strings.Builder
	if days := d / day; days > 0 {
		fmt.Fprintf(&b, "%dd", days)
		d %= day
	}
	for _, part := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / part.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, part.name)
			d %= part.unit
		}
	}
	return b.String()
}

// when writes a time as local date and time; the zero time is "never".
func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

// rate writes n things in d as a rate: 123,456/s.
func rate(n uint64, d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return thousands(int64(float64(n)/d.Seconds())) + "/s"
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// durationUnits are those that Go's parser does not know.
var durationUnits = map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}

// parseDuration reads Go's durations and whole or broken days, weeks and years: 90s, 36h, 7d, 1.5w, 1y.
func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("a duration is needed, such as 90s, 36h or 7d")
	}
	if unit, ok := durationUnits[s[len(s)-1]]; ok {
		n, err := strconv.ParseFloat(s[:len(s)-1], 64)
		if err == nil && n >= 0 && n*float64(unit) < float64(1<<63-1) {
			return time.Duration(n * float64(unit)), nil
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	return 0, fmt.Errorf("%q is no duration; 90s, 36h and 7d are", s)
}

// durationFlag is a pflag.Value over parseDuration.
type durationFlag time.Duration

func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return humanDuration(time.Duration(*d))
}
func (d *durationFlag) Type() string { return "duration" }
func (d *durationFlag) Set(s string) error {
	v, err := parseDuration(s)
	*d = durationFlag(v)
	return err
}

// parseSize reads a number of bytes: 512, 64k, 10MB, 1.5GiB. Units are binary; -1 is unlimited.
func parseSize(s string) (int64, error) {
	bad := fmt.Errorf("%q is no size; 512, 64KB and 10GiB are", s)
	t := strings.ToLower(strings.TrimSpace(s))
	if t == "-1" || t == "unlimited" {
		return -1, nil
	}
	t = strings.TrimSuffix(strings.TrimSuffix(t, "b"), "i")
	shift := 0
	if t != "" {
		if i := strings.IndexByte("kmgtp", t[len(t)-1]); i >= 0 {
			shift, t = 10*(i+1), t[:len(t)-1]
		}
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || n < 0 || n*float64(int64(1)<<shift) >= 1<<63 || n != n {
		return 0, bad
	}
	return int64(n * float64(int64(1)<<shift)), nil
}

// sizeFlag is a pflag.Value over parseSize.
type sizeFlag int64

func (z *sizeFlag) String() string {
	if *z == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*z), 10)
}
func (z *sizeFlag) Type() string { return "size" }
func (z *sizeFlag) Set(s string) error {
	v, err := parseSize(s)
	*z = sizeFlag(v)
	return err
}

// oneOf lists choices in a fixed order: a, b or c.
func oneOf(names []string) string {
	slices.Sort(names)
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
