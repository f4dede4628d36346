package record

// Kind says what an entry of a group's log is. The numbers are part of the
// journal's format: they are never reused.
type Kind uint8

const (
	// KindFrame is an admitted frame.
	KindFrame Kind = 1
	// KindRemove is a decided removal: age, deletes, purges (see Removal).
	KindRemove Kind = 2
	// KindConfig is a change of the stream's configuration.
	KindConfig Kind = 3
	// KindConsumerSet creates or changes a consumer.
	KindConsumerSet Kind = 4
	// KindConsumerDrop deletes a consumer.
	KindConsumerDrop Kind = 5
	// KindConsumerState is a consumer's progress.
	KindConsumerState Kind = 6
	// KindDedup moves the floor of the dedup window.
	KindDedup Kind = 7
	// KindOrigin is how far the stream has copied another one, where no record says
	// so.
	KindOrigin Kind = 8

	// KindStreamCreate, and those after it, are entries of the meta group.
	KindStreamCreate Kind = 64
	KindStreamDrop   Kind = 65
	KindStreamConfig Kind = 66
)
