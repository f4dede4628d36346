package server

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLogLinesHaveTheirTimeAsConfigured(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("far", 5*3600)
	t.Cleanup(func() { time.Local = zone })
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := openLogs(&LogConfig{Format: format}, &out)
		if err != nil {
			t.Fatal(err)
		}
		line := func(c LogConfig) string {
			out.Reset()
			l.setLevel(&c)
			l.Info("here", "time", "an attribute")
			return out.String()
		}
		if s := line(LogConfig{}); !strings.Contains(s, "+05:00") {
			t.Errorf("%s, local time: %s", format, s)
		}
		if s := line(LogConfig{UTC: true}); strings.Contains(s, "+05:00") || !strings.Contains(s, "Z") {
			t.Errorf("%s, UTC: %s", format, s)
		}
		if s := line(LogConfig{NoTime: true}); strings.Contains(s, "T") || !strings.Contains(s, "an attribute") {
			t.Errorf("%s, no time: %s", format, s)
		}
		if l.Debug("hidden"); strings.Contains(out.String(), "hidden") {
			t.Errorf("%s: details are logged unasked", format)
		}
		l.setLevel(&LogConfig{Debug: true})
		if l.Debug("shown"); !strings.Contains(out.String(), "shown") {
			t.Errorf("%s: details are not logged", format)
		}
	}
}
