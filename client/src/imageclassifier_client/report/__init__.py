"""From API objects to what people read: versions, pods, evidence, the sentence and the next step. No I/O."""
