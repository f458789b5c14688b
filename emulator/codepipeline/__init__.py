"""CodePipeline: pipelines, their executions (pipelines) and what their actions do (actions)."""
