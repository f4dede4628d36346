package metrics

import (
	"fmt"
	"sync"
)

// Kind says how a metric behaves.
type Kind uint8

// The kinds.
const (
	KindGauge Kind = iota
	KindCounter
	KindHistogram
)

// Desc is a metric's description.
type Desc struct {
	Name   string // with the unit, and _total for what only rises
	Help   string // one sentence
	Kind   Kind
	Labels []string // names of the labels
}

// Sample is one value of a metric.
type Sample struct {
	Desc         *Desc
	Labels       []string     // values of the labels, as many as Desc has names
	Value        float64      // of a gauge or counter
	Distribution Distribution // of a histogram
}

// Set is a list of metrics and how they are read. Its methods may be called by
// any goroutine.
type Set struct {
	mu    sync.Mutex
	names map[string]bool // guarded by mu
	reads []reader        // guarded by mu
}

// reader is a metric with the function that gives its values.
type reader struct {
	desc *Desc
	read func(emit func(value float64, labels ...string))
	dist func() Distribution
}

// Counter adds a metric that only rises.
func (s *Set) Counter(name, help string, load func() uint64) {
	s.add(&Desc{Name: name, Help: help, Kind: KindCounter}, reader{read: func(emit func(float64, ...string)) { emit(float64(load())) }})
}

// Gauge adds a metric that rises and falls.
func (s *Set) Gauge(name, help string, load func() float64) {
	s.add(&Desc{Name: name, Help: help}, reader{read: func(emit func(float64, ...string)) { emit(load()) }})
}

// Histogram adds a metric that counts durations, in seconds.
func (s *Set) Histogram(name, help string, load func() Distribution) {
	s.add(&Desc{Name: name, Help: help, Kind: KindHistogram}, reader{dist: load})
}

// Labelled adds a metric with a value for each combination of labels, as many as
// read emits. Keep them few: each is a series of its own for whoever stores them.
func (s *Set) Labelled(kind Kind, name, help string, labels []string, read func(emit func(value float64, labels ...string))) {
	if kind == KindHistogram {
		panic("metrics: " + name + ": a histogram has no labels")
	}
	s.add(&Desc{Name: name, Help: help, Kind: kind, Labels: labels}, reader{read: read})
}

// add panics where a name is given twice or unexplained: that is a mistake in
// our own table.
func (s *Set) add(d *Desc, r reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[d.Name] || d.Name == "" || d.Help == "" {
		panic(fmt.Sprintf("metrics: %q is there twice, or without a help text", d.Name))
	}
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[d.Name] = true
	r.desc = d
	s.reads = append(s.reads, r)
}

// Read gives all values, in the order in which the metrics were added.
func (s *Set) Read(give func(Sample)) {
	s.mu.Lock()
	reads := s.reads[:len(s.reads):len(s.reads)]
	s.mu.Unlock()
	for _, r := range reads {
		if r.dist != nil {
			give(Sample{Desc: r.desc, Distribution: r.dist()})
			continue
		}
		r.read(func(value float64, labels ...string) { give(Sample{Desc: r.desc, Labels: labels, Value: value}) })
	}
}
