package journal

import (
	"errors"
	"fmt"
	"path"
	"syscall"
	"time"
)

// ahead is how many files wait to be written to: the next one, and a reserve
// for a disk that is full.
const ahead = 2

// scarceFiles is for how many files there must be space to be sure of the next one.
const scarceFiles = 4

// retryEvery is how often a file is tried to be made while the disk is full.
const retryEvery = time.Second

// keepFor is how many periods of retryEvery the most files in use count at least:
// a load that comes in waves finds as many files as it had, already written once.
const keepFor = 60

// runPreparer makes files ahead of the writer and removes those that are too
// many, until the writer ends.
func (j *Journal) runPreparer() {
	defer j.done.Done()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for tick := 1; ; {
		select {
		case <-j.quit:
			return
		case <-j.prepare:
		case <-retry.C:
			forgets := tick%keepFor == 0
			if tick++; forgets {
				j.forgetPeak()
			}
			if !forgets && !j.isFull() {
				continue
			}
		}
		if err := j.trimFiles(); err != nil {
			j.Metrics.failed(err)
			j.log.Warn("journal file not trimmed", "error", err)
		}
		for j.wantsFile() {
			if !j.prepareOne() {
				break
			}
		}
		j.hasRoom()
	}
}

func (j *Journal) isFull() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.noSpace != nil
}

// hasRoom ends the state of want where enough files were given back.
func (j *Journal) hasRoom() {
	j.mu.Lock()
	changed := j.noSpace != nil && len(j.ready) >= ahead
	if changed {
		j.noSpace = nil
	}
	j.mu.Unlock()
	if changed {
		j.kick(j.spareUp)
		j.reportPressure(true)
	}
}

func (j *Journal) wantsFile() bool {
	select {
	case <-j.quit:
		return false
	default:
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err == nil && len(j.ready) < ahead
}

// prepareOne makes one file; false says that it failed.
func (j *Journal) prepareOne() bool {
	j.mu.Lock()
	id := j.nextID
	j.nextID++
	j.mu.Unlock()
	f, err := j.makeFile(id)
	j.mu.Lock()
	was := j.noSpace
	j.tried++
	if err == nil {
		j.ready = append(j.ready, f) // whether that is enough says hasRoom
	} else {
		j.noSpace = err
	}
	j.mu.Unlock()
	if err != nil {
		j.Metrics.failed(err)
		if was == nil { // said once, however often it is tried
			j.log.Warn("journal file not prepared", "error", err)
			j.reportPressure(true)
		}
	}
	j.kick(j.spareUp)
	j.wake.ring()
	return err == nil
}

// trimFiles removes files that are neither needed nor wanted as spares, and
// takes those with an odd size out of use.
func (j *Journal) trimFiles() error {
	for {
		f := j.takeSurplus()
		if f == nil {
			return nil
		}
		if err := f.close(); err != nil {
			return fmt.Errorf("close journal file: %w", err)
		}
		if err := j.opts.FS.Remove(path.Join(j.opts.Dir, f.name)); err != nil {
			return fmt.Errorf("remove journal file: %w", err)
		}
		j.Metrics.Files.Add(-1)
	}
}

// takeSurplus takes a file out of the ready ones that is not worth keeping: the
// rest always covers MaxBytes, what the load has needed lately, and two files.
func (j *Journal) takeSurplus() *file {
	j.mu.Lock()
	defer j.mu.Unlock()
	want := int(j.opts.MaxBytes / j.fileSize)
	if j.noSpace == nil {
		want = max(want, j.peak+ahead, j.lastPeak+ahead)
	}
	keep := max(ahead, want-j.inUseLocked())
	for i, f := range j.ready {
		if f.size != j.fileSize || len(j.ready) > keep {
			j.ready = append(j.ready[:i], j.ready[i+1:]...)
			return f
		}
	}
	return nil
}

// inUseLocked is how many files are written to, needed, or not yet said not to be.
func (j *Journal) inUseLocked() int { return len(j.files) + len(j.retired) }

// forgetPeak begins a new period of counting the files in use.
func (j *Journal) forgetPeak() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastPeak, j.peak = j.peak, j.inUseLocked()
}

// nextFile gives the writer a file, waiting for the preparer if it must. While the
// disk is full it waits for space, or for Close. It gives an error when a fresh
// attempt to make a file fails for another reason.
func (j *Journal) nextFile() (*file, error) {
	j.mu.Lock()
	tried := j.tried
	j.mu.Unlock()
	for {
		f, low, err := j.takeReady(tried, j.scarce())
		if low {
			j.kick(j.prepare)
		}
		switch {
		case f != nil:
			return f, nil
		case err == nil:
			<-j.spareUp
			continue
		case !errors.Is(err, syscall.ENOSPC):
			return nil, err
		}
		select {
		case <-j.spareUp:
		case <-j.stop:
			return nil, err
		}
	}
}

// scarce says that there may be no space for the files that are to come.
func (j *Journal) scarce() bool {
	free, err := j.opts.FS.Free(j.opts.Dir)
	return err != nil || free < scarceFiles*j.fileSize
}

// takeReady takes a ready file, if there is one. low says that another should be
// made. A failure to make one counts if it came after that many tries. Where space is
// scarce the last file is the reserve: it is for what is on its way when those who
// append have heard that the disk is full, so it waits until that is known.
func (j *Journal) takeReady(tried uint64, scarce bool) (f *file, low bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if scarce && len(j.ready) == 1 && j.noSpace == nil {
		return nil, true, nil
	}
	if len(j.ready) > 0 {
		f = j.ready[0]
		j.ready = append(j.ready[:0], j.ready[1:]...)
		j.peak = max(j.peak, j.inUseLocked()+1)
		return f, len(j.ready) < ahead, nil
	}
	if j.noSpace != nil && j.tried > tried {
		return nil, false, fmt.Errorf("no journal file left to write to: %w", j.noSpace)
	}
	return nil, true, nil
}

// settleLocked retires files from the oldest on while nothing in them is held.
// The file being written stays.
func (j *Journal) settleLocked() {
	n := 0
	for n < len(j.files)-1 && len(j.files[n].held) == 0 {
		n++
	}
	if n == 0 {
		return
	}
	j.retired = append(j.retired, j.files[:n]...)
	j.files = append(j.files[:0], j.files[n:]...)
	j.countLiveLocked()
	if j.noSpace != nil {
		j.wake.ring() // to say so, and use them
	}
}

func (j *Journal) countLiveLocked() {
	var sum int64
	for _, f := range j.files {
		sum += f.written
	}
	j.Metrics.LiveBytes.Store(sum)
}

// recycleLocked makes retired files ready, after a durable batch said that
// generations below firstLive are not needed: only then may their bytes go.
func (j *Journal) recycleLocked(firstLive uint64) bool {
	n := 0
	for n < len(j.retired) && j.retired[n].generation < firstLive {
		n++
	}
	if n == 0 {
		return false
	}
	j.ready = append(j.ready, j.retired[:n]...)
	j.retired = append(j.retired[:0], j.retired[n:]...)
	return true
}
