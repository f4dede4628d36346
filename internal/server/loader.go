package server

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
)

// token is a value of the configuration with its place.
type token interface {
	Value() any
	Line() int
	SourceFile() string
	IsUsedVariable() bool
}

// loader reads a parsed configuration into a Config. Errors gather: the user
// sees all of them at once.
type loader struct {
	c    *Config
	file string
	errs []error
	warn []string
}

// value is one setting that is being read.
type value struct {
	l    *loader
	key  string // with the blocks around it, for messages
	v    any
	file string
	line int
}

// block is a table of the keys of one level of the configuration.
type block []row

// row is one key. set reads it; where note is given instead, the key is known but
// not honoured.
type row struct {
	names string // one or several, separated by spaces
	set   func(c *Config, v value)
	note  string
}

// loadFile reads a configuration file.
func loadFile(path string) (*Config, error) {
	m, digest, err := conf.ParseFileWithChecksDigest(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("configuration file %s does not exist", path)
		}
		return nil, fmt.Errorf("configuration %w", err)
	}
	return load(m, path, digest)
}

func load(m map[string]any, path, digest string) (*Config, error) {
	l := &loader{c: defaultConfig(), file: path}
	l.c.File, l.c.Digest = path, digest
	l.readBlock(value{l: l, v: m, file: path}, topKeys)
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	l.c.Warnings = l.warn
	return l.c, nil
}

// wrap takes a parsed value apart into what it is and where it stands.
func (v value) wrap(key string, x any) value {
	out := value{l: v.l, key: key, v: x, file: v.file, line: v.line}
	if v.key != "" {
		out.key = v.key + "." + key
	}
	if t, ok := x.(token); ok {
		out.v, out.line = t.Value(), t.Line()
		if t.SourceFile() != "" {
			out.file = t.SourceFile()
		}
	}
	return out
}

func (v value) place() string {
	if v.line == 0 {
		return v.file // no file, or all of one
	}
	return filepath.Base(v.file) + ":" + strconv.Itoa(v.line)
}

func (v value) fail(format string, a ...any) {
	v.l.errs = append(v.l.errs, fmt.Errorf("%s: %s: %s", v.place(), v.key, fmt.Sprintf(format, a...)))
}

func (v value) warning(format string, a ...any) {
	v.l.warn = append(v.l.warn, fmt.Sprintf("%s: %s: %s", v.place(), v.key, fmt.Sprintf(format, a...)))
}

// readBlock reads a map by a table. A key that the table does not have is an
// error that names its place.
func (l *loader) readBlock(v value, keys block) {
	m, ok := v.v.(map[string]any)
	if !ok {
		v.fail("must be a block in braces")
		return
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := v.wrap(name, m[name])
		r := keys.find(name)
		if r == nil {
			if t, ok := m[name].(token); ok && t.IsUsedVariable() {
				continue
			}
			e.fail("unknown key")
			continue
		}
		if r.set == nil {
			e.warning("known, but not honoured: %s", r.note)
			continue
		}
		r.set(l.c, e)
	}
}

func (b block) find(name string) *row {
	name = strings.ToLower(name)
	for i := range b {
		if slices.Contains(strings.Fields(b[i].names), name) {
			return &b[i]
		}
	}
	return nil
}

func (v value) block(keys block) { v.l.readBlock(v, keys) }

func (v value) str() string {
	switch x := v.v.(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	}
	v.fail("must be a text")
	return ""
}

func (v value) boolean() bool {
	b, ok := v.v.(bool)
	if !ok {
		v.fail("must be true or false")
	}
	return b
}

func (v value) integer() int64 {
	n, ok := v.v.(int64)
	if !ok {
		v.fail("must be a whole number")
	}
	return n
}

// count is an integer that must fit and be within bounds.
func (v value) count(low, high int64) int {
	n := v.integer()
	if n < low || n > high {
		v.fail("must be from %d to %d", low, high)
		return 0
	}
	return int(n)
}

var sized = regexp.MustCompile(`^-?[0-9]{1,18}[a-zA-Z]{0,3}$`)

// bytes is a number of bytes, which may be a text such as "1GB".
func (v value) bytes() int64 {
	if s, ok := v.v.(string); ok {
		if sized.MatchString(s) {
			if m, err := conf.Parse("v: " + s); err == nil {
				if n, ok := m["v"].(int64); ok {
					return n
				}
			}
		}
		v.fail("must be a number of bytes, such as 64MB")
		return 0
	}
	return v.integer()
}

// longest is the longest duration that can be configured.
const longest = 100 * 365 * 24 * time.Hour

// duration is a text such as "2m", or a number of seconds; not negative.
func (v value) duration() time.Duration { return v.span(0) }

// span is a duration from low on.
func (v value) span(low time.Duration) time.Duration {
	d := longest + 1
	switch x := v.v.(type) {
	case string:
		if p, err := time.ParseDuration(x); err == nil {
			d = p
		}
	case int64:
		if x > -longestSeconds && x < longestSeconds {
			d = time.Duration(x) * time.Second
		}
	case float64:
		if math.Abs(x) < float64(longestSeconds) {
			d = time.Duration(x * float64(time.Second))
		}
	}
	if d < low || d > longest {
		v.fail("must be a duration, such as \"10s\"")
		return 0
	}
	return d
}

const longestSeconds = int64(longest / time.Second)

// each calls f for every element of a list, or for a single value.
func (v value) each(f func(e value)) {
	list, ok := v.v.([]any)
	if !ok {
		f(v)
		return
	}
	for i, x := range list {
		e := v.wrap(strconv.Itoa(i), x)
		f(e)
	}
}

func (v value) strs() []string {
	var out []string
	v.each(func(e value) { out = append(out, e.str()) })
	return out
}

// hostPort splits an address, which may be a port alone.
func (v value) hostPort() (host string, port int, ok bool) {
	if n, isInt := v.v.(int64); isInt {
		return "", v.count(-1, 65535), n >= -1 && n <= 65535
	}
	s, ok := v.v.(string)
	if !ok {
		v.fail("must be HOST:PORT or a port")
		return "", 0, false
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		v.fail("must be HOST:PORT or a port")
		return "", 0, false
	}
	p, err := strconv.Atoi(s[i+1:])
	if err != nil || p < -1 || p > 65535 {
		v.fail("has no valid port")
		return "", 0, false
	}
	return strings.Trim(s[:i], "[]"), p, true
}
