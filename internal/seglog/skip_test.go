package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/seglog/roster"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// subjectFrame makes a frame of records with these subjects.
func subjectFrame(base uint64, size int, subjects ...string) *record.Frame {
	var a record.Area
	for _, s := range subjects {
		a.Append(&record.Parts{Subject: []byte(s), Data: make([]byte, size)})
	}
	return record.Seal(record.Header{Partition: testID, Term: 1, Base: base, Time: int64(base)}, a.Buf, a.Slots)
}

// readFiltered reads the sequences that a filter stands for as a reader with Skip does,
// and counts the records that it reads.
func readFiltered(t *testing.T, l *Log, f *subject.Filter, from uint64) (seqs []uint64, read int) {
	t.Helper()
	c := l.Cursor(from)
	defer c.Close()
	asked := uint64(0)
	for {
		for from > asked && from <= l.Last() {
			first, last := l.Skip(f, from)
			if first < from || last < first-1 {
				t.Fatalf("from %d: %d to %d", from, first, last)
			}
			from, asked = first, last
			c.Seek(from)
			if last >= first {
				break
			}
		}
		v, err := c.Next()
		if errors.Is(err, io.EOF) {
			return seqs, read
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
		if from = v.Seq + 1; f.Matches(v.Subject) {
			seqs = append(seqs, v.Seq)
		}
	}
}

// readBack reads the sequences that a filter stands for part by part, from the last one
// on.
func readBack(t *testing.T, l *Log, f *subject.Filter, upTo uint64) (seqs []uint64, read int) {
	t.Helper()
	for {
		first, last, ok := l.SkipBack(f, upTo)
		if !ok {
			return seqs, read
		}
		if first > last || last > upTo {
			t.Fatalf("up to %d: %d to %d", upTo, first, last)
		}
		var part []uint64
		c := l.Cursor(first)
		for {
			v, err := c.Next()
			if errors.Is(err, io.EOF) || err == nil && v.Seq > last {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if read++; f.Matches(v.Subject) {
				part = append(part, v.Seq)
			}
		}
		c.Close()
		seqs = append(part, seqs...)
		upTo = first - 1
	}
}

// subjectsOf reads all.
func subjectsOf(t *testing.T, l *Log) (seqs []uint64, subjects []string) {
	t.Helper()
	c := l.Cursor(0)
	defer c.Close()
	for {
		v, err := c.Next()
		if errors.Is(err, io.EOF) {
			return seqs, subjects
		}
		if err != nil {
			t.Fatal(err)
		}
		seqs, subjects = append(seqs, v.Seq), append(subjects, string(v.Subject))
	}
}

// skipRig is a log to which everything happens that files go through.
type skipRig struct {
	*testing.T
	rng   *rand.Rand
	disk  *faultfs.FS
	v     *Volume
	l     *Log
	dead  seqset.Set
	phase int
}

func (r *skipRig) append() {
	if r.rng.IntN(4) == 0 {
		r.phase = r.rng.IntN(6)
	}
	for range 5 + r.rng.IntN(25) {
		var subjects []string
		for range 1 + r.rng.IntN(30) {
			subjects = append(subjects, r.subject())
		}
		r.l.Append(subjectFrame(r.l.Last()+1, r.rng.IntN(20), subjects...))
	}
}

// subject is one of few, of some, of many, or any; of a phase, so that segments differ.
func (r *skipRig) subject() string {
	switch r.phase {
	case 0:
		return "one"
	case 1:
		return fmt.Sprintf("few.%d.x", r.rng.IntN(4))
	case 2:
		return fmt.Sprintf("some.%d.%d", r.rng.IntN(100), r.rng.IntN(3))
	}
	return fmt.Sprintf("many.%d.%d", r.rng.IntN(100_000), r.rng.IntN(3))
}

func (r *skipRig) filter() *subject.Filter {
	names := []string{"one", "few.1.x", "few.9.x", "some.5.1", fmt.Sprintf("some.%d.2", r.rng.IntN(200)), fmt.Sprintf("many.%d.1", r.rng.IntN(100_000))}
	patterns := append(names, "few.*.x", "some.7.*", "*.5.*", "many.>", "*", "none.*", "many.*.3")
	pick := func(all []string, n int) (out []string) {
		for range n {
			out = append(out, all[r.rng.IntN(len(all))])
		}
		return out
	}
	if r.rng.IntN(3) == 0 {
		return subject.FilterNamed(pick(names, 1+r.rng.IntN(3))...)
	}
	return subject.FilterOf(pick(patterns, 1+r.rng.IntN(2))...)
}

// disturb does one of what may happen.
func (r *skipRig) disturb() {
	l := r.l
	switch r.rng.IntN(8) {
	case 0:
		must(r, l.Flush())
	case 1:
		must(r, l.Checkpoint(nil))
	case 2:
		l.Trim(l.First() + (l.Last()-l.First())/8)
		must(r, l.Checkpoint(nil))
	case 3:
		for seq := l.First(); seq < l.Last(); seq++ {
			if r.rng.IntN(10) > 0 && seq/2000%2 == 0 {
				r.dead.Add(seq)
			}
		}
		logtest.Reclaim(r.T, l, &r.dead, nil)
	case 4:
		l.evict(1 << 20)
	case 5: // the process ends; what collectors knew is gone
		must(r, l.Checkpoint(nil))
		r.reopen()
	case 6:
		must(r, l.Checkpoint(nil))
		r.damage()
		r.reopen()
	case 7: // there is no room to collect
		r.v.collecting.Add(collectMost)
		r.append()
		must(r, l.Flush())
		r.v.collecting.Add(-collectMost)
	}
}

// live leaves out what is dead, which may be found in one place and not in another.
func (r *skipRig) live(seqs []uint64) []uint64 {
	return slices.DeleteFunc(seqs, r.dead.Contains)
}

// noteForms counts the rosters of each form.
func (r *skipRig) noteForms(forms map[byte]int) {
	for _, seg := range r.l.segments {
		if seg.footer == 0 {
			continue
		}
		if b, err := r.l.loadRoster(seg); err == nil && len(b) > 9 {
			forms[b[9]]++
		}
	}
}

func (r *skipRig) reopen() {
	must(r, r.l.Close())
	r.l = openLog(r, r.v, testID)
}

// damage changes bytes of a footer's roster, or its length.
func (r *skipRig) damage() {
	for _, seg := range r.l.segments {
		if seg.footer == 0 || r.rng.IntN(4) > 0 {
			continue
		}
		b, err := r.l.loadRoster(seg)
		must(r, err)
		at := seg.end() + 28
		if n := int64(len(b)); n > 0 && r.rng.IntN(2) > 0 {
			at = seg.end() + seg.footer - n + r.rng.Int64N(n)
		}
		must(r, r.disk.Corrupt(r.l.path(segmentName(seg.no)), at, 1))
	}
}

// Whoever passes over what Skip says, forward or back, finds exactly the records that a
// look at each record finds, whatever became of the files.
func TestSkippingFindsWhatReadingAllFinds(t *testing.T) {
	eachWay(t, func(t *testing.T, how way) {
		disk := newDisk(t)
		disk.SetDirect(how.direct)
		o := small(disk)
		o.SegmentBytes, o.RosterCache = 150_000, 100_000
		how.set(&o)
		v := openVolume(t, o)
		r := &skipRig{T: t, rng: rand.New(rand.NewPCG(7, uint64(len(how.name)))), disk: disk, v: v, l: openLog(t, v, testID)}
		all, read, forms := 0, 0, map[byte]int{}
		for range max(45/sparser, 8) {
			r.append()
			r.disturb()
			r.noteForms(forms)
			seqs, subjects := subjectsOf(t, r.l)
			for range 5 {
				f := r.filter()
				var want []uint64
				from := r.rng.Uint64N(r.l.Last() + 2)
				for i, seq := range seqs {
					if seq >= from && f.MatchesString(subjects[i]) {
						want = append(want, seq)
					}
				}
				got, n := readFiltered(t, r.l, f, from)
				if got, want = r.live(got), r.live(want); !slices.Equal(got, want) {
					t.Fatalf("%+v from %d: %d records, not %d", f, from, len(got), len(want))
				}
				all, read = all+len(seqs), read+n
				upTo := r.rng.Uint64N(r.l.Last() + 2)
				want = nil
				for i, seq := range seqs {
					if seq <= upTo && f.MatchesString(subjects[i]) {
						want = append(want, seq)
					}
				}
				got, _ = readBack(t, r.l, f, upTo)
				if got, want = r.live(got), r.live(want); !slices.Equal(got, want) {
					t.Fatalf("%+v up to %d: %d records, not %d", f, upTo, len(got), len(want))
				}
			}
		}
		t.Logf("%d of %d records were read; forms %v", read, all, forms)
		if o.Keys == nil && !raceEnabled && (forms[1] == 0 || forms[2] == 0) {
			t.Errorf("there were only rosters of the forms %v", forms)
		}
		if r.v.rosters.size > o.RosterCache+5_000 {
			t.Errorf("rosters take %d bytes", r.v.rosters.size)
		}
		must(t, r.l.Close())
		if n := r.v.collecting.Load(); n != 0 {
			t.Errorf("collectors take %d bytes after the end", n)
		}
	})
}

// A subject in few segments costs the records between its first and its last in those.
func TestOtherSegmentsAreNotRead(t *testing.T) {
	eachWay(t, func(t *testing.T, how way) {
		disk := newDisk(t)
		disk.SetDirect(how.direct)
		o := small(disk)
		o.TailCache = -1
		how.set(&o)
		l := openLog(t, openVolume(t, o), testID)
		var want []uint64
		for i := range 2000 {
			subjects := []string{"often.1", "often.2", "often.1"}
			if i == 700 || i == 1500 {
				subjects[1] = "rare.3"
				want = append(want, l.Last()+2)
			}
			l.Append(subjectFrame(l.Last()+1, 50, subjects...))
		}
		must(t, l.Checkpoint(nil))
		if n := len(l.segments); n < 10 {
			t.Fatalf("there are %d segments", n)
		}
		last := l.segments[len(l.segments)-1]
		most := 4 + int(last.count)
		for _, f := range []*subject.Filter{subject.FilterOf("rare.3"), subject.FilterOf("rare.*", "never"), subject.FilterNamed("rare.3", "rare.4")} {
			seqs, read := readFiltered(t, l, f, 1)
			if !slices.Equal(seqs, want) || read > most {
				t.Errorf("%+v: found %d, and read %d records", f, seqs, read)
			}
			seqs, read = readBack(t, l, f, l.Last())
			if !slices.Equal(seqs, want) || read > most {
				t.Errorf("%+v: found %d from the end, and read %d records", f, seqs, read)
			}
		}
	})
}

// While frames come, are sealed, written anew and trimmed, readers of few subjects find
// each record that is not gone.
func TestSkippingBesideTheWriter(t *testing.T) {
	o := small(newDisk(t))
	o.RosterCache = 3_000
	v := openVolume(t, o)
	runFlusher(t, v)
	l := openLog(t, v, testID)
	const last = 6_000
	name := func(seq uint64) string { return fmt.Sprintf("s.%d", seq/300%7) }
	var wg sync.WaitGroup
	for reader := range uint64(3) {
		f := subject.FilterOf([]string{"s.1", "s.2", "*.3"}[reader])
		wg.Go(func() {
			c := l.Cursor(1)
			defer c.Close()
			seen := uint64(1) // all before it that is kept was found
			for from, asked := uint64(1), uint64(0); from <= last; {
				if from > l.Last() {
					runtime.Gosched()
					continue
				}
				if from > asked {
					if from, asked = l.Skip(f, from); from > asked {
						continue
					}
					c.Seek(from)
				}
				r, err := c.Next()
				if err == io.EOF {
					runtime.Gosched()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				from = r.Seq + 1
				if !f.Matches(r.Subject) {
					continue
				}
				for ; seen < r.Seq; seen++ { // multiples of 5 are never deleted
					if seen%5 == 0 && seen >= l.First() && f.MatchesString(name(seen)) {
						t.Errorf("%d (%s) is passed over on the way to %d", seen, name(seen), r.Seq)
						return
					}
				}
				seen = r.Seq + 1
			}
		})
	}
	wg.Go(func() {
		var dead seqset.Set
		for seq := uint64(1); seq <= last; seq += 4 {
			l.Append(subjectFrame(seq, 60, name(seq), name(seq+1), name(seq+2), name(seq+3)))
			if seq%400 != 1 {
				continue
			}
			for s := l.First(); s < seq; s++ {
				if s%5 != 0 {
					dead.Add(s)
				}
			}
			l.Trim(seq / 4)
			if !logtest.Reclaim(t, l, &dead, nil) {
				if err := l.Checkpoint(nil); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
}

// One call does not read rosters without end.
func TestOneSkipReadsSoMuch(t *testing.T) {
	o := small(newDisk(t))
	o.SegmentBytes, o.TailCache = 8_000, -1
	l := openLog(t, openVolume(t, o), testID)
	for range 2*skipSegments*8_000/1_000 + 100 {
		l.Append(subjectFrame(l.Last()+1, 950, "a"))
	}
	must(t, l.Checkpoint(nil))
	f, calls := subject.FilterOf("b"), 0
	for from := uint64(1); ; calls++ {
		first, last := l.Skip(f, from)
		if from = first; last >= first {
			break
		}
	}
	if calls < 2 {
		t.Errorf("%d segments are looked at in %d calls", len(l.segments), calls)
	}
}

// What a key is for does not stand beside it.
func TestRostersOfEncryptedLogsNameNoSubject(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	o.Keys = testKeys()
	l := openLog(t, openVolume(t, o), testID)
	for range 300 {
		l.Append(subjectFrame(l.Last()+1, 300, "a-secret-name"))
	}
	must(t, l.Checkpoint(nil))
	if all := stored(t, disk, l); len(l.segments) < 2 || strings.Contains(all, "secret") || strings.Contains(all, "WSR1") {
		t.Fatalf("the subject is in one of %d segments", len(l.segments))
	}
	seg := l.segments[0]
	if r, _ := l.roster(seg); r == nil {
		t.Fatal("there is no roster")
	}
	b, err := l.loadRoster(seg)
	must(t, err)
	if _, err := l.parseRoster(slices.Clone(b), seg.no+1); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("the roster of another segment: %v", err)
	}
}

// Frames that are known to be of one subject are looked at twice, not once for each record.
func TestARosterOfFramesOfOneSubjectIsThatOfAllRecords(t *testing.T) {
	var all, alike roster.Builder
	base := uint64(1)
	for i, subject := range []string{"a.b", "a.c", "a.b", "a.b"} {
		f := subjectFrame(base, 10, slices.Repeat([]string{subject}, 5-i)...)
		base = f.Last() + 1
		must(t, addFrames(&all, []*record.Frame{f}))
		f.MarkAlike()
		must(t, addFrames(&alike, []*record.Frame{f}))
	}
	if got, want := alike.Append(nil, nil), all.Append(nil, nil); !bytes.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
