package jetstream

import (
	"testing"
	"time"
)

func TestMarkersSayWhyAndForHowLong(t *testing.T) {
	b := AppendMarker(nil, int64(time.Minute))
	if want := "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 1m0s\r\nNats-Rollup: sub\r\n\r\n"; string(b) != want {
		t.Errorf("got %q", b)
	}
	if !IsMarker(b) || IsMarker([]byte("NATS/1.0\r\nNats-TTL: 1m0s\r\n\r\n")) || IsMarker(nil) {
		t.Error("markers are not told from others")
	}
	for block, want := range map[string]bool{
		"NATS/1.0\r\nKV-Operation: PURGE\r\nNats-Rollup: sub\r\n\r\n": true,
		"NATS/1.0\r\nNats-TTL: 1s\r\nKV-Operation:PURGE\r\n\r\n":      true,
		"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n":                       false,
		"NATS/1.0\r\nKV-Operation: PURGED\r\n\r\n":                    false,
		"NATS/1.0\r\nX-KV-Operation: PURGE\r\n\r\n":                   false,
		"NATS/1.0\r\nKV-Operation:":                                   false,
	} {
		if IsMarker([]byte(block)) != want {
			t.Errorf("%q is a marker: %v", block, !want)
		}
	}
	h := ParsePublishHeader(b)
	if h.TTL != int64(time.Minute) || h.TTLInvalid {
		t.Errorf("it is read as %d, %v", h.TTL, h.TTLInvalid)
	}
}

func TestATTLIsRaisedInItsHeader(t *testing.T) {
	for block, want := range map[string]string{
		"NATS/1.0\r\nNats-TTL: 1s\r\n\r\n":               "NATS/1.0\r\nNats-TTL: 60\r\n\r\n",
		"NATS/1.0\r\nA: b\r\nNats-TTL:1\r\nC: d\r\n\r\n": "NATS/1.0\r\nA: b\r\nNats-TTL: 60\r\nC: d\r\n\r\n",
		"NATS/1.0\r\nA: b\r\n\r\n":                       "NATS/1.0\r\nA: b\r\n\r\n",
		"NATS/1.0\r\nNats-TTL:":                          "NATS/1.0\r\nNats-TTL: 60",
	} {
		if got := string(WithTTL([]byte(block), int64(time.Minute))); got != want {
			t.Errorf("%q became %q", block, got)
		}
	}
	c := StreamConfig{SubjectDeleteMarkerTTL: time.Minute, MaxMsgsPerSubject: -1}
	h := PublishHeader{TTL: int64(time.Second)}
	if got := h.EffectiveTTL(&c); got != int64(time.Minute) {
		t.Errorf("raised to %d", got)
	}
	if c.MaxMsgsPerSubject = 1; h.EffectiveTTL(&c) != int64(time.Second) {
		t.Error("raised although each subject has a single message")
	}
	if h.TTL = TTLNever; h.EffectiveTTL(&StreamConfig{SubjectDeleteMarkerTTL: time.Minute}) != TTLNever {
		t.Error("never became something else")
	}
}
