-- Second opinions, kept with the anomaly. Null: nobody has asked.
alter table anomalies add column triage_verdict jsonb;
-- The newest feedback, for what people said of similar anomalies.
create index anomaly_feedback_by_time on anomaly_feedback (tenant_id, create_time desc);

-- @down
drop index anomaly_feedback_by_time;
alter table anomalies drop column triage_verdict;
