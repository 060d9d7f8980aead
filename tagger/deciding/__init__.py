"""From a prediction and the tags to a decision: vocabulary, map, policy, albums."""
