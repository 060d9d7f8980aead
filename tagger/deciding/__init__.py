"""From a prediction and the tags to a decision: options, map, policy, albums."""
