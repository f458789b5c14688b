import pytest
from tests.conftest import Runbook

@pytest.mark.parametrize("example,pages",[("runbook",("create_cluster.py","register_task_definition.py","run_task.py")),("clara",("create_cluster.py","register_task_definition.py","create_service.py")),("fargate",("create_cluster.py","register_task_definition.py","run_task.py"))])
def test_x(example, pages, request):
    r=request.getfixturevalue(example)
    for p in pages:
        ran=r.run(p); print(p, ran.err.splitlines()[-3:])
    r.settle(7200)
    ran=r.run("describe_costs.py"); print(ran.err, ran.out[:100])
    ran=r.run("describe_clusters.py"); print(ran.err)
    ran=r.run("delete_cluster.py","--yes",EFS_DELETION_POLICY="Retain"); print("\n".join(ran.err.splitlines()[-8:]))
    assert 0
