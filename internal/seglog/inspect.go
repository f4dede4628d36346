package seglog

import "path"

// OpenReadOnly makes a volume of a data directory for looking only: it creates and
// removes nothing, and its directory need not be there. Of its logs nothing may be
// used that writes.
func OpenReadOnly(o VolumeOptions) *Volume { return newVolume(o) }

// Files names the files that the log's last checkpoint counts, its manifest first.
func (l *Log) Files() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.out.born {
		return nil
	}
	names := []string{manifestName}
	for _, s := range l.segments {
		names = append(names, segmentName(s.no))
	}
	return names
}

// ManifestFile is where the manifest of a log's directory lies.
func ManifestFile(dir string) string { return path.Join(dir, manifestName) }
