package logstore

import "errors"

// ErrNone says that there is no such frame. It is never the answer where reading failed.
var ErrNone = errors.New("no such frame")

// Frame is a run of records, sealed: its Data is opaque, has checksums of its own, and is
// never changed by anybody.
type Frame struct {
	First, Last uint64 // the sequences of its first and last record
	LastTime    int64  // when the last one was stored, Unix ns; it never falls
	Data        []byte
}

// Log keeps the frames of one stream.
type Log interface {
	// Append keeps a frame behind all others; its First is above their Last, and need not
	// be the next. It may keep Data. Readers find it when Append returns; it need not be
	// durable before Checkpoint. After an error the stream takes nothing more.
	Append(f Frame) error
	// Find gives the first frame whose Last is seq or above, ErrNone where there is none
	// yet. Its Data stays as it is for as long as somebody has it, also when the frame is
	// trimmed or the Log closed.
	Find(seq uint64) (Frame, error)
	// FindTime gives the first frame whose LastTime is t or above, or ErrNone.
	FindTime(t int64) (Frame, error)
	// Last is the Last of the last frame; 0: there never was one.
	Last() uint64
	// Trim says that nobody reads below first any more: frames whose Last is below it are
	// not found from now on. What they take may be given back when the next Checkpoint has
	// returned, not before: a crash brings them back.
	Trim(first uint64)
	// Checkpoint makes all that was appended and trimmed durable, and state, in one step:
	// after a crash all of it is there, or all is as the checkpoint before has left it. What
	// is appended or trimmed while it runs may be in it or not.
	Checkpoint(state []byte) error
	// State is that of the last Checkpoint that has returned without an error; nil: there
	// was none.
	State() []byte
	// Drop removes everything. Nothing is called after it.
	Drop() error
	// Close ends the use of the Log, without a checkpoint.
	Close() error
}

// Kind is a storage: what opens the logs of those streams that name it.
type Kind struct {
	// Open opens the log in a directory of its own, which is there and may be empty. It is
	// as its last Checkpoint left it: what was appended later is not in it. No two are open
	// at a time for one directory.
	Open func(dir string) (Log, error)
	// Durability says in a few words, for the server's log, what a checkpoint is worth,
	// such as "synced to one disk".
	Durability string
}
