package jetstream

// MetaCapture is the key of the metadata by which a stream that is named no subjects
// captures none, if it has the value CaptureNone; else it captures its own name.
const (
	MetaCapture = "weir.capture"
	CaptureNone = "none"
)
