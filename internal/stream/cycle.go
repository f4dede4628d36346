package stream

import "github.com/weirmq/weir/internal/subject"

// reserveOrigins refuses a configuration with which messages would come back to a stream
// by way of others, those that are being made or changed included, or with which it
// would have them twice by way of a mirror.
func (d *Directory) reserveOrigins(s *Stream, c *Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.linking[s] = c
	configs := map[string]*Config{}
	for o, c := range d.linking {
		if o.Account() == s.Account() {
			configs[c.Name] = c
		}
	}
	find := func(name string) *Config {
		if c := configs[name]; c != nil {
			return c
		}
		if s := d.accounts[s.Account()][name]; s != nil {
			return s.Config()
		}
		return nil
	}
	if comesBack(c, find) || comesTwice(c, find) {
		delete(d.linking, s)
		return ErrCycle
	}
	return nil
}

func (d *Directory) releaseOrigins(s *Stream) {
	d.mu.Lock()
	delete(d.linking, s)
	d.mu.Unlock()
}

// everything is the pattern of all subjects.
const everything = ">"

// comesBack says whether a message of the stream c can come back to it: whether there
// is a way of copies from it to itself that a subject passes. The way is gone backwards,
// with a pattern that has at least the subjects that pass it from there on.
func comesBack(c *Config, find func(name string) *Config) bool {
	type place struct{ stream, passes string }
	seen := map[place]bool{}
	var from func(at *Config, passes string) bool
	from = func(at *Config, passes string) bool {
		origins := at.origins()
		for i := range origins {
			o := &origins[i]
			if o.Remote {
				continue
			}
			for _, p := range o.passing(passes, at.Mapping != nil) {
				next := place{o.Stream, p}
				if o.Stream == c.Name {
					return true
				}
				if seen[next] {
					continue
				}
				seen[next] = true
				if cfg := find(o.Stream); cfg != nil && from(cfg, p) {
					return true
				}
			}
		}
		return false
	}
	return from(c, everything)
}

// passing are patterns of the origin's subjects whose copies may match passes. changed
// says that the copying stream gives them other subjects still.
func (o *Origin) passing(passes string, changed bool) []string {
	if changed {
		passes = everything
	}
	if len(o.Maps) == 0 {
		return []string{passes}
	}
	var out []string
	for _, m := range o.Maps {
		switch {
		case m.Target != "" && m.Target != m.Source:
			out = append(out, m.Source) // which of them come out as what is not looked at
		case subject.Contains(passes, m.Source):
			out = append(out, m.Source)
		case subject.Overlap(passes, m.Source):
			out = append(out, passes)
		}
	}
	return out
}

// comesTwice says whether a mirror among the streams that c copies, near ones first,
// mirrors one of those before it.
func comesTwice(c *Config, find func(name string) *Config) bool {
	seen := map[string]bool{}
	for queue := []*Config{c}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		seen[at.Name] = true
		if m := at.Mirror; m != nil && !m.Remote && seen[m.Stream] {
			return true
		}
		for _, o := range at.origins() {
			if cfg := find(o.Stream); cfg != nil && !o.Remote && !seen[o.Stream] {
				queue = append(queue, cfg)
			}
		}
	}
	return false
}
