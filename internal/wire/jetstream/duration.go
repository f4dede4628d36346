package jetstream

import "math"

// maxDurationText bounds what is taken for a duration: more is garbage.
const maxDurationText = 64

// parseDuration reads a duration as Go writes it, "1h2m3.5s", in nanoseconds; -1
// if it is none or below zero. It is here because the library's needs a string.
func parseDuration(b []byte) int64 {
	if len(b) > maxDurationText {
		return -1
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if string(b) == "0" {
		return 0
	}
	if len(b) == 0 {
		return -1
	}
	var total uint64
	for len(b) > 0 {
		part, n := durationPart(b)
		if n == 0 {
			return -1
		}
		if total += part; total > math.MaxInt64 {
			return -1
		}
		b = b[n:]
	}
	return int64(total)
}

// durationPart reads one number with its unit, at most 1<<63-1 ns, and says how
// many bytes it took, 0 if there is none.
func durationPart(b []byte) (ns uint64, n int) {
	whole, i, ok := leadingDigits(b)
	if !ok {
		return 0, 0
	}
	digits := i
	fraction, scale := uint64(0), uint64(1)
	if i < len(b) && b[i] == '.' {
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
			digits++
			// Nine digits are below a nanosecond of the unit that is asked for in
			// practice; more do not change an hour by a microsecond.
			if scale < 1e9 {
				fraction, scale = fraction*10+uint64(b[i]-'0'), scale*10
			}
		}
	}
	unit, n := durationUnit(b[i:])
	if digits == 0 || unit == 0 || whole > math.MaxInt64/unit {
		return 0, 0
	}
	ns = whole*unit + mulDiv(fraction, unit, scale)
	if ns > math.MaxInt64 {
		return 0, 0
	}
	return ns, i + n
}

// mulDiv is a*b/c for a < c <= 1e9 and b up to an hour, in parts that fit.
func mulDiv(a, b, c uint64) uint64 {
	return b/c*a + b%c*a/c
}

// leadingDigits reads the digits at the start; false when they do not fit.
func leadingDigits(b []byte) (v uint64, n int, ok bool) {
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	if n == 0 {
		return 0, 0, true
	}
	v, ok = parseUint(b[:n])
	return v, n, ok
}

// durationUnit reads a unit, in nanoseconds, and its length; 0 if there is none.
func durationUnit(b []byte) (ns uint64, n int) {
	for n < len(b) && b[n] != '.' && b[n]-'0' > 9 {
		n++
	}
	switch string(b[:n]) {
	case "ns":
		ns = 1
	case "us", "µs", "μs":
		ns = 1e3
	case "ms":
		ns = 1e6
	case "s":
		ns = 1e9
	case "m":
		ns = 60 * 1e9
	case "h":
		ns = 3600 * 1e9
	}
	return ns, n
}
